typedef int stoop_event_stub;
