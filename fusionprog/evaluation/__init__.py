"""Scoring: metrics, outcomes per example, statistics, and the evaluator."""
