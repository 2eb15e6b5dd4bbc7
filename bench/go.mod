module stoopbench

go 1.24
