typedef int stoop_store_stub;
