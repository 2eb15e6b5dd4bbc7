typedef int stoop_net_stub;
