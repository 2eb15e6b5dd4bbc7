typedef int stoop_notifiers_stub;
