typedef int stoop_telemetry_stub;
