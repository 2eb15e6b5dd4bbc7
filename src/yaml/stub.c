typedef int stoop_yaml_stub;
