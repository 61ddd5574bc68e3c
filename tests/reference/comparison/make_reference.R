# Make vuong.csv and loo.csv of this folder: Vuong's test by pscl::vuong, and leaving documents out by loo::loo.
#
#     python make_draws.py && Rscript make_reference.R
#
# The text is the tokens of ../covariance/observations.csv end to end. The two models of Vuong's test are multinomial logits by
# nnet::multinom: every combination of two lags, and three lags without interactions. pscl has no predprob() for multinom, so
# fitted probabilities are handed to it; the statistics are read from what it prints, which is all that it returns. loo gets
# the log-probabilities of the documents under the chains of draws.csv, counted and summed here.

suppressPackageStartupMessages({library(nnet); library(pscl); library(loo)})
options(digits = 15, width = 200)

read <- read.csv("../covariance/observations.csv", colClasses = "character")

# Vuong
tokens <- factor(read$token, levels = c("a", "b", "c"))
n <- length(tokens)
data <- data.frame(y = tokens[4:n], lag1 = tokens[3:(n - 1)], lag2 = tokens[2:(n - 2)], lag3 = tokens[1:(n - 3)])
as_counts <- function(formula) {
  fit <- multinom(formula, data, reltol = 1e-15, abstol = 1e-15, maxit = 5000, trace = FALSE)
  probabilities <- fitted(fit)
  colnames(probabilities) <- seq_len(3)
  structure(list(y = as.integer(data$y), p = probabilities, coefficients = c(coef(fit)), loglike = c(logLik(fit))), class = "probabilities")
}
registerS3method("predprob", "probabilities", function(obj, ...) obj$p, envir = asNamespace("pscl"))
one <- as_counts(y ~ lag1 * lag2)
other <- as_counts(y ~ lag1 + lag2 + lag3)
printed <- capture.output(pscl::vuong(one, other, digits = 15))
statistic <- function(name) as.numeric(sub("[^-0-9.].*", "", trimws(sub(name, "", grep(name, printed, value = TRUE), fixed = TRUE))))
z <- sapply(c("Raw", "AIC-corrected", "BIC-corrected"), statistic)
writeLines(printed)
shown <- function(x) trimws(formatC(x, digits = 14, format = "g"))
write.csv(
  data.frame(
    correction = c("none", "aic", "bic"), statistic = shown(z), nobs = nrow(data), dof_one = length(coef(one)),
    dof_other = length(coef(other)), loglike_one = shown(one$loglike), loglike_other = shown(other$loglike)
  ),
  "vuong.csv", row.names = FALSE, quote = FALSE
)

# loo
draws <- as.matrix(read.csv("draws.csv"))  # of each row: probabilities of a, b, c after a, after b, after c
groups <- split(read, factor(read$document, levels = unique(read$document)))
counts <- sapply(groups, function(d) c(t(table(factor(d$lag1, c("a", "b", "c")), factor(d$token, c("a", "b", "c"))))))
loglike <- log(draws) %*% counts
found <- suppressWarnings(loo::loo(loglike, r_eff = rep(1, ncol(loglike))))
smoothed <- suppressWarnings(psis(-loglike, r_eff = rep(1, ncol(loglike))))
write.csv(
  data.frame(
    document = names(groups), elpd = shown(found$pointwise[, "elpd_loo"]), p = shown(found$pointwise[, "p_loo"]),
    pareto_k = shown(smoothed$diagnostics$pareto_k), largest_weight = shown(apply(weights(smoothed, log = FALSE), 2, max)),
    total = shown(found$estimates["elpd_loo", "Estimate"]), total_error = shown(found$estimates["elpd_loo", "SE"])
  ),
  "loo.csv", row.names = FALSE, quote = FALSE
)
cat(R.version.string, "pscl", format(packageVersion("pscl")), "loo", format(packageVersion("loo")), "\n")
