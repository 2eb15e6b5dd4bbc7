typedef int stoop_config_stub;
