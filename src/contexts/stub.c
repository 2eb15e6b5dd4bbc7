typedef int stoop_contexts_stub;
