# Make firth.csv and hauck_donner.csv of this folder, from sparse.csv.
#
#     Rscript make_penalised.R
#
# Firth's binary logit by the adjusted score in its hat-diagonal form (Heinze and Schemper 2002), with standard errors from the
# information at the estimate; the Hauck-Donner effect by VGAM's hdeff on a multinomial logit whose counts are all positive.

suppressPackageStartupMessages(library(VGAM))

observations <- read.csv("sparse.csv", colClasses = "character")

# Two classes, separated: b never follows the level c.
binary <- observations[observations$corpus == "binary", ]
# Firth (1993): the score with half the hat diagonal added to each cell, solved by Newton's method on rows of single observations.
x <- model.matrix(~ lag1 + lag2, data.frame(lag1 = factor(binary$lag1), lag2 = factor(binary$lag2)))
y <- as.numeric(binary$token == "b")
beta <- rep(0, ncol(x))
for (step in 1:500) {
  p <- plogis(drop(x %*% beta))
  information <- crossprod(x * sqrt(p * (1 - p)))
  hat <- rowSums((x %*% solve(information)) * x) * p * (1 - p)
  change <- solve(information, drop(crossprod(x, y - p + hat * (0.5 - p))))
  beta <- beta + change
  if (max(abs(change)) < 1e-13) break
}
p <- plogis(drop(x %*% beta))
information <- crossprod(x * sqrt(p * (1 - p)))
names_of <- function(x) sub("(lag[12])(.)", "\\1[\\2]", x)
write.csv(
  data.frame(term = names_of(colnames(x)), estimate = beta, std_error = sqrt(diag(solve(information)))),
  "firth.csv", row.names = FALSE
)

# Three classes, nowhere separated, some log-odds far out.
steep <- observations[observations$corpus == "steep", ]
counts <- as.data.frame.matrix(table(paste(steep$lag2, steep$lag1), factor(steep$token, c("a", "b", "c"))))
levels_of <- do.call(rbind, strsplit(rownames(counts), " "))
table_of <- data.frame(lag2 = factor(levels_of[, 1]), lag1 = factor(levels_of[, 2]))
fit <- vglm(as.matrix(counts) ~ lag1 + lag2, multinomial(refLevel = 1), table_of, epsilon = 1e-13, maxit = 100)
term <- sub(":[12]$", "", names(coef(fit)))
response <- c("b", "c")[as.integer(sub(".*:", "", names(coef(fit))))]
write.csv(
  data.frame(response = response, term = names_of(term), estimate = coef(fit), std_error = sqrt(diag(vcov(fit))),
             derivative = hdeff(fit, derivative = 1), hauck_donner = hdeff(fit)),
  "hauck_donner.csv", row.names = FALSE
)
cat(R.version.string, "VGAM", as.character(packageVersion("VGAM")), "\n")
