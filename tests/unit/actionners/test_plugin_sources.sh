#!/bin/sh
# tools/plugin-sources: the folders of the project pass it, and each disagreement between a list and a folder stops it.
set -u
root=$1
tool=$root/tools/plugin-sources
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
number=0

report() { # name, 0 when good
    number=$((number + 1))
    if [ "$2" = 0 ]; then echo "ok $number - $1"; else echo "not ok $number - $1"; fi
}

fresh() {
    rm -rf "$folder"
    mkdir "$folder"
    printf '// A comment\n\nTHING(cat_a)\nTHING(cat_b)\n' >"$folder/things.def"
    for name in a b; do
        printf 'const Thing thing_cat_%s = {\n};\n' "$name" >"$folder/cat_$name.c"
    done
    echo 'int helper;' >"$folder/helper.c"
}

run() { "$tool" "$folder" things.def Thing helper.c; }

stops() { # name, what its message contains
    output=$(run 2>&1)
    status=$?
    case $status:$output in
    0:*) report "$1: passed" 1 ;;
    *"$2"*) report "$1" 0 ;;
    *) echo "# $output"; report "$1: another message" 1 ;;
    esac
}

echo 1..11
fresh
[ "$(run)" = "cat_a.c
cat_b.c
helper.c" ]
report 'lists plug-ins and helpers' $?

fresh && rm "$folder/cat_b.c"
stops 'a line without its file' 'cat_b has no file'
fresh && printf 'const Thing thing_cat_c = {\n};\n' >"$folder/cat_c.c"
stops 'a file without its line' 'add THING(cat_c)'
fresh && echo 'int nothing;' >"$folder/cat_b.c"
stops 'a file without its descriptor' "does not define 'const Thing thing_cat_b"
fresh && printf 'THING(cat_b)\nTHING(cat_a)\n' >"$folder/things.def"
stops 'lines not sorted' 'not sorted'
fresh && printf 'THING(cat_a)\nTHING(cat_b)\nTHING(cat_b)\n' >"$folder/things.def"
stops 'a line twice' 'stands there twice'
fresh && printf 'THING(cat_a)\nTHING(cat_b);\n' >"$folder/things.def"
stops 'a malformed line' 'things.def:2'
fresh && rm "$folder/helper.c"
stops 'a helper that is not there' 'helper.c is not there'
fresh && rm "$folder/things.def"
stops 'no list' 'cannot be read'
fresh && printf 'THING(cat_a)\nTHING(cat_b)' >"$folder/things.def"
run >/dev/null
report 'a last line without its end' $?

"$tool" "$root/src/contexts" contexts.def Context contexts.c >/dev/null
report 'the project itself' $?
