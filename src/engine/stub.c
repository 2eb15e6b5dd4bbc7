typedef int stoop_engine_stub;
