"""How weights change: optimisers, rates of parameter groups, schedules, averages of weights."""
