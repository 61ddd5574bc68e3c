# Make r.csv of this folder: standard errors of a multinomial logit by nnet::multinom, clustered by package sandwich in one and two
# ways, and by refits without each document and to the drawn documents of draws.csv.
#
#     Rscript make_reference.R
#
# multinom has no method for sandwich's estfun(), so it is written here from the definition; bread, meat and the combination of the
# groupings are the package's. The jackknife and the bootstrap are multinom() called again.

suppressPackageStartupMessages({library(nnet); library(sandwich)})

data <- read.csv("observations.csv", colClasses = "character")
draws <- as.matrix(read.csv("draws.csv"))

by_frequency <- function(x) {
  counts <- table(x)
  first <- names(counts)[which.max(counts)]
  factor(x, levels = c(first, setdiff(names(counts), first)))
}
data$lag1 <- by_frequency(data$lag1)
data$token <- by_frequency(data$token)
data$document <- factor(data$document, levels = unique(data$document))

estfun.multinom <- function(x, ...) {
  design <- model.matrix(x)
  y <- class.ind(model.response(model.frame(x)))
  residual <- (y - fitted(x))[, -1, drop = FALSE]
  do.call(cbind, lapply(seq_len(ncol(residual)), function(j) design * residual[, j]))
}
bread.multinom <- function(x, ...) vcov(x) * nrow(model.frame(x))
refit <- function(rows) {
  multinom(token ~ lag1, data[rows, ], Hess = TRUE, model = TRUE, reltol = 1e-15, abstol = 1e-15, maxit = 5000, trace = FALSE)
}
estimates <- function(fit) c(t(coef(fit)))

fit <- refit(seq_len(nrow(data)))
groups <- split(seq_len(nrow(data)), data$document)
G <- length(groups)
left_out <- sapply(seq_len(G), function(g) estimates(refit(unlist(groups[-g]))))
drawn <- apply(draws, 1, function(d) estimates(refit(unlist(groups[d + 1]))))

root <- function(v) sqrt(diag(v))
two_way <- vcovCL(fit, cluster = data[c("author", "year")], type = "HC0", cadjust = TRUE)
nested <- vcovCL(fit, cluster = data[c("author", "document")], type = "HC0", cadjust = TRUE)
table <- data.frame(
  response = rep(rownames(coef(fit)), each = ncol(coef(fit))),
  term = gsub("lag1(.)", "lag1[\\1]", rep(colnames(coef(fit)), nrow(coef(fit)))),
  estimate = estimates(fit),
  document = root(vcovCL(fit, cluster = data$document, type = "HC0", cadjust = TRUE)),
  author = root(vcovCL(fit, cluster = data$author, type = "HC0", cadjust = TRUE)),
  two_way = root(two_way), nested = root(nested),
  jackknife = root((G - 1) / G * tcrossprod(left_out - rowMeans(left_out))),
  bootstrap = root(cov(t(drawn)) * G / (G - 1))
)
for (column in names(table)) {
  if (is.numeric(table[[column]])) table[[column]] <- trimws(formatC(table[[column]], digits = 13, format = "g"))
}
write.csv(table, "r.csv", row.names = FALSE, quote = FALSE)
cat("sandwich", format(packageVersion("sandwich")), "\n")
