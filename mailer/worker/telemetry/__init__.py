"""What a worker tells the tools of operators: log lines, metrics, traces."""
