"""The direct comparison of regimes: plan, execution, statistics, report."""
