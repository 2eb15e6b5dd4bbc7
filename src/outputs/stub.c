typedef int stoop_outputs_stub;
