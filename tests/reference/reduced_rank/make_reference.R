# Make r.json of this folder: multinomial logits of reduced rank by VGAM::rrvglm on the table counts.csv.
#
#     Rscript make_reference.R
#
# The table has contexts as rows and tokens as columns. rrvglm keeps the intercepts unrestricted (noRRR = ~ 1) and gives the other
# coefficients rank r. Its log-likelihood has the multinomial coefficients of the grouped rows in it, so it is computed anew.

suppressPackageStartupMessages(library(VGAM))

counts <- as.matrix(read.csv("counts.csv", row.names = 1))
context <- factor(rownames(counts), levels = rownames(counts))
y <- counts

written <- function(x) paste0("[", paste(formatC(x, digits = 15, format = "g"), collapse = ", "), "]")
parts <- c()
for (rank in 1:3) {
  best <- NULL
  for (seed in 1:5) {  # rrvglm can stop at a poorer maximum
    set.seed(seed)
    fit <- tryCatch(
      suppressWarnings(rrvglm(y ~ context, multinomial(refLevel = 1), Rank = rank, noRRR = ~ 1, epsilon = 1e-14, maxit = 2000)),
      error = function(e) NULL
    )
    if (is.null(fit)) next
    loglike <- sum(y * log(fitted(fit)))
    if (is.null(best) || loglike > best$loglike) best <- list(fit = fit, loglike = loglike)
  }
  coefficients <- coef(best$fit, matrix = TRUE)  # rows: intercept and contexts; columns: tokens against the first
  rows <- apply(coefficients, 1, written)
  parts <- c(parts, sprintf('  "%d": {"loglike": %s, "coefficients": [\n    %s\n  ]}', rank,
                            formatC(best$loglike, digits = 15, format = "g"), paste(rows, collapse = ",\n    ")))
}
cat("{\n  \"program\": \"VGAM ", as.character(packageVersion("VGAM")), ", R ", as.character(getRversion()), "\",\n",
    paste(parts, collapse = ",\n"), "\n}\n", sep = "", file = "r.json")
