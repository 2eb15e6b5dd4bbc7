typedef int stoop_ingest_stub;
