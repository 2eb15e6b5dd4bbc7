typedef int stoop_schema_stub;
