# Make hac.csv and bandwidth.csv of this folder: serially robust standard errors of a multinomial logit by package sandwich.
#
#     Rscript make_hac.R
#
# "whole" is NeweyWest() of all tokens end to end; "documents" is meatHAC() of the scores with as many zeros as there are lags
# after each document, so that no lag reaches from one into the next. Bartlett's kernel, no prewhitening, no factor; lag 0 is
# sandwich(). The bandwidth is bwNeweyWest() of each token's indicator. multinom has no method for estfun(): it is written here.

suppressPackageStartupMessages({library(nnet); library(sandwich)})

data <- read.csv("observations.csv", colClasses = "character")
data$document <- factor(data$document, levels = unique(data$document))
data$place <- ave(seq_len(nrow(data)), data$document, FUN = seq_along)

estfun.multinom <- function(x, ...) {
  design <- model.matrix(x)
  y <- class.ind(model.response(model.frame(x)))
  residual <- (y - fitted(x))[, -1, drop = FALSE]
  do.call(cbind, lapply(seq_len(ncol(residual)), function(j) design * residual[, j]))
}
bread.multinom <- function(x, ...) vcov(x) * nrow(model.frame(x))
by_frequency <- function(x) factor(x, names(sort(-table(x))))
fit_of <- function(lag1, token) {
  d <- data.frame(lag1 = by_frequency(lag1), token = factor(token, c("a", "b", "c")))
  multinom(token ~ lag1, d, Hess = TRUE, model = TRUE, reltol = 1e-15, abstol = 1e-15, maxit = 5000, trace = FALSE)
}
estfun.padded <- function(x, ...) x$scores
within <- function(fit, document, lags) {
  scores <- estfun(fit)
  gap <- matrix(0, lags, ncol(scores))
  padded <- do.call(rbind, lapply(split(seq_len(nrow(scores)), document), function(i) rbind(scores[i, , drop = FALSE], gap)))
  meat <- meatHAC(structure(list(scores = padded), class = "padded"), weights = 1 - (0:lags) / (lags + 1), adjust = FALSE)
  vcov(fit) %*% (nrow(padded) * meat) %*% vcov(fit)
}
root <- function(v) sqrt(diag(v))
shown <- function(x) trimws(formatC(x, digits = 13, format = "g"))

by_document <- fit_of(data$lag1, data$token)
n <- nrow(data)
whole <- fit_of(data$token[-n], data$token[-1])  # one text, of which the first token is given
names_of <- function(fit) data.frame(
  response = rep(rownames(coef(fit)), each = ncol(coef(fit))),
  term = gsub("lag1(.)", "lag1[\\1]", rep(colnames(coef(fit)), nrow(coef(fit))))
)
rows <- list()
for (lags in c(0, 1, 4, 12)) {
  rows[[length(rows) + 1]] <- cbind(
    names_of(whole), text = "whole", lags = lags, estimate = shown(c(t(coef(whole)))),
    std_error = shown(root(NeweyWest(whole, lag = lags, prewhite = FALSE, adjust = FALSE)))
  )
  rows[[length(rows) + 1]] <- cbind(
    names_of(by_document), text = "documents", lags = lags, estimate = shown(c(t(coef(by_document)))),
    std_error = shown(root(within(by_document, data$document, lags)))
  )
}
stopifnot(all.equal(root(NeweyWest(whole, lag = 0, prewhite = FALSE)), root(sandwich::sandwich(whole))))
write.csv(do.call(rbind, rows), "hac.csv", row.names = FALSE, quote = FALSE)

lengths <- c(100, 300, nrow(data))
bandwidths <- do.call(rbind, lapply(lengths, function(m) do.call(rbind, lapply(c("a", "b", "c"), function(letter) {
  fit <- lm(y ~ 1, data.frame(y = as.numeric(data$token[seq_len(m)] == letter)))
  data.frame(
    token = letter, nobs = m, bandwidth = shown(bwNeweyWest(fit, prewhite = FALSE)),
    std_error = shown(root(NeweyWest(fit, prewhite = FALSE, adjust = FALSE)))
  )
}))))
write.csv(bandwidths, "bandwidth.csv", row.names = FALSE, quote = FALSE)
cat(R.version.string, "sandwich", format(packageVersion("sandwich")), "\n")
