typedef int stoop_kube_stub;
