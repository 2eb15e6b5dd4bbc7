typedef int stoop_rules_stub;
