typedef int stoop_actionners_stub;
