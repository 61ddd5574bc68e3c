"""Language models as multinomial regressions."""
