# Make r.csv and r_fit.csv of this folder: multinomial logits by nnet::multinom and VGAM::vglm, sandwiches by package sandwich.
#
#     Rscript make_reference.R
#
# Reads observations.csv, which make_reference.py writes. multinom has no method for sandwich's estfun(), so it is written here
# from the definition; bread and meat are the package's. vglm is fitted to the table of contexts.

suppressPackageStartupMessages({library(nnet); library(VGAM); library(sandwich)})

observations <- read.csv("observations.csv", colClasses = "character")
cases <- list(
  "anes-lags1" = list("anes", ~ lag1), "anes-lags2" = list("anes", ~ lag1 + lag2),
  "anes3-pairwise" = list("anes3", ~ lag1 * lag2),
  "text-lags1" = list("text", ~ lag1), "text-lags2" = list("text", ~ lag1 + lag2)
)

# The most frequent level first, the first in alphabetical order among equals.
by_frequency <- function(x) {
  counts <- table(x)
  first <- names(counts)[which.max(counts)]
  factor(x, levels = c(first, setdiff(names(counts), first)))
}

term_names <- function(names) gsub("(lag[12])([^:]+)", "\\1[\\2]", names)

estfun.multinom <- function(x, ...) {
  design <- model.matrix(x)
  y <- class.ind(model.response(model.frame(x)))
  residual <- (y - fitted(x))[, -1, drop = FALSE]
  do.call(cbind, lapply(seq_len(ncol(residual)), function(j) design * residual[, j]))
}
bread.multinom <- function(x, ...) vcov(x) * nrow(model.frame(x))

tables <- fits <- list()
for (case in names(cases)) {
  data <- observations[observations$corpus == cases[[case]][[1]], ]
  data$lag1 <- by_frequency(data$lag1)
  data$lag2 <- by_frequency(data$lag2)
  data$token <- factor(data$token)
  terms <- cases[[case]][[2]]

  fit <- multinom(update(terms, token ~ .), data, Hess = TRUE, model = TRUE, reltol = 1e-15, abstol = 1e-15, maxit = 5000,
                  trace = FALSE)
  estimates <- coef(fit)
  cluster <- factor(data$document, levels = unique(data$document))
  roots <- function(v) c(sqrt(diag(v)))
  tables[[paste(case, 1)]] <- data.frame(
    program = "nnet::multinom", case = case, response = rep(rownames(estimates), each = ncol(estimates)),
    term = term_names(rep(colnames(estimates), nrow(estimates))), estimate = c(t(estimates)),
    nonrobust = roots(vcov(fit)), HC0 = roots(sandwich::sandwich(fit)),
    cluster = roots(vcovCL(fit, cluster = cluster, type = "HC0", cadjust = TRUE))
  )
  fits[[paste(case, 1)]] <- data.frame(program = "nnet::multinom", case = case, loglike = c(logLik(fit)), aic = AIC(fit))

  counts <- as.data.frame.matrix(table(interaction(data[all.vars(terms)], sep = "|", drop = TRUE), data$token))
  levels_of <- do.call(rbind, strsplit(rownames(counts), "|", fixed = TRUE))
  grouped <- as.data.frame(levels_of, stringsAsFactors = FALSE)
  names(grouped) <- all.vars(terms)
  for (lag in names(grouped)) grouped[[lag]] <- factor(grouped[[lag]], levels = levels(data[[lag]]))
  y <- as.matrix(counts)
  fit <- vglm(update(terms, y ~ .), multinomial(refLevel = 1), data = grouped, epsilon = 1e-12, maxit = 100)
  estimates <- coef(fit, matrix = TRUE)
  errors <- matrix(roots(vcov(fit)), ncol = ncol(estimates), byrow = TRUE)
  loglike <- sum(y * log(fitted(fit)))
  tables[[paste(case, 2)]] <- data.frame(
    program = "VGAM::vglm", case = case, response = rep(colnames(y)[-1], each = nrow(estimates)),
    term = term_names(rep(rownames(estimates), ncol(estimates))), estimate = c(estimates), nonrobust = c(errors),
    HC0 = NA_real_, cluster = NA_real_
  )
  # vglm's logLik has the multinomial coefficients of the grouped rows in it; without them it is that of the observations.
  fits[[paste(case, 2)]] <- data.frame(
    program = "VGAM::vglm", case = case, loglike = loglike, aic = -2 * loglike + 2 * length(estimates)
  )
}
written <- function(x, file) {
  x <- do.call(rbind, x)
  for (column in names(x)) if (is.numeric(x[[column]])) x[[column]] <- trimws(formatC(x[[column]], digits = 13, format = "g"))
  write.csv(x, file, row.names = FALSE, quote = FALSE)
}
written(tables, "r.csv")
written(fits, "r_fit.csv")
print(warnings())
