// Values as text, the way Go's %v prints them: rules written for Talon compare with that.
#include "event/event_private.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A fixed piece of memory that is filled until it is full; the rest is dropped.
typedef struct {
    char *at;
    size_t left; // without the NUL
} Out;

static void put(Out *out, const char *text, size_t len) {
    size_t n = MIN(len, out->left);
    // A character that does not fit whole is left out, and nothing follows it.
    while (n < len && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    memcpy(out->at, text, n);
    out->at += n;
    out->left = n < len ? 0 : out->left - n;
}

static void put_uint(Out *out, uint64_t value, bool negative) {
    char digits[24], *p = digits + sizeof digits;
    do
        *--p = (char)('0' + value % 10);
    while (value /= 10);
    if (negative)
        *--p = '-';
    put(out, p, (size_t)(digits + sizeof digits - p));
}

// The shortest digits that give the same number back, without the point, and the exponent of the first one.
static size_t shortest(double value, char digits[20], int *exponent) {
    char text[40], format[8];
    // A normal number whose shortest form has up to 15 digits gives it with 15, followed by zeros; a denormal one does
    // not.
    for (int precision = value < DBL_MIN ? 0 : 14; precision <= 16; precision++) {
        g_snprintf(format, sizeof format, "%%.%de", precision);
        g_ascii_formatd(text, sizeof text, format, value);
        if (g_ascii_strtod(text, NULL) == value)
            break;
    }
    char *e = strchr(text, 'e');
    *exponent = (int)g_ascii_strtoll(e + 1, NULL, 10);
    size_t n = 0;
    for (char *p = text; p < e; p++)
        if (g_ascii_isdigit(*p))
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

// As strconv's 'g' with the shortest precision, and %v's rule that the exponent form begins at 21.
static void put_real(Out *out, double value) {
    if (isnan(value) || isinf(value)) {
        const char *text = isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
        put(out, text, strlen(text));
        return;
    }
    if (signbit(value))
        put(out, "-", 1);
    char digits[20];
    int exponent;
    size_t n = shortest(fabs(value), digits, &exponent);
    if (exponent < -4 || exponent >= 21) {
        put(out, digits, 1);
        if (n > 1) {
            put(out, ".", 1);
            put(out, digits + 1, n - 1);
        }
        char tail[8];
        g_snprintf(tail, sizeof tail, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        put(out, tail, strlen(tail));
        return;
    }
    if (exponent < 0) {
        put(out, "0.000", (size_t)(1 - exponent));
        put(out, digits, n);
        return;
    }
    size_t whole = (size_t)exponent + 1;
    put(out, digits, MIN(n, whole));
    for (size_t i = n; i < whole; i++)
        put(out, "0", 1);
    if (n > whole) {
        put(out, ".", 1);
        put(out, digits + whole, n - whole);
    }
}

static void put_value(Out *out, yyjson_val *value);

static int compare_names(yyjson_val *a, yyjson_val *b) {
    size_t a_len = unsafe_yyjson_get_len(a), b_len = unsafe_yyjson_get_len(b);
    int order = memcmp(unsafe_yyjson_get_str(a), unsafe_yyjson_get_str(b), MIN(a_len, b_len));
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare_for_sort(const void *a, const void *b) {
    yyjson_val *x = *(yyjson_val *const *)a, *y = *(yyjson_val *const *)b;
    int order = compare_names(x, y);
    return order != 0 ? order : (x > y) - (x < y);
}

// Go prints maps in the order of their keys. Beyond 64 keys (no field of Falco's has that) it is the order of the body.
static void put_object(Out *out, yyjson_val *object) {
    yyjson_val *sorted[64], *key, *value;
    size_t count = yyjson_obj_size(object), i, max;
    put(out, "map[", 4);
    if (count <= G_N_ELEMENTS(sorted)) {
        yyjson_obj_foreach(object, i, max, key, value) {
            sorted[i] = key;
        }
        qsort(sorted, count, sizeof *sorted, compare_for_sort);
        for (i = 0; i < count; i++) {
            put(out, " ", i > 0);
            put(out, unsafe_yyjson_get_str(sorted[i]), unsafe_yyjson_get_len(sorted[i]));
            put(out, ":", 1);
            put_value(out, yyjson_obj_iter_get_val(sorted[i]));
        }
    } else {
        yyjson_obj_foreach(object, i, max, key, value) {
            if (out->left == 0)
                break;
            put(out, " ", i > 0);
            put(out, unsafe_yyjson_get_str(key), unsafe_yyjson_get_len(key));
            put(out, ":", 1);
            put_value(out, value);
        }
    }
    put(out, "]", 1);
}

// Recursion is bounded: event_parse refuses what is nested deeper than 64.
static void put_value(Out *out, yyjson_val *value) {
    size_t i, max;
    yyjson_val *item;
    if (out->left == 0)
        return;
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_STR:
    case YYJSON_TYPE_RAW:
        put(out, unsafe_yyjson_get_str(value), unsafe_yyjson_get_len(value));
        break;
    case YYJSON_TYPE_BOOL:
        if (yyjson_get_bool(value))
            put(out, "true", 4);
        else
            put(out, "false", 5);
        break;
    case YYJSON_TYPE_NUM:
        if (yyjson_is_real(value))
            put_real(out, yyjson_get_real(value));
        else if (yyjson_is_sint(value) && yyjson_get_sint(value) < 0)
            put_uint(out, -(uint64_t)yyjson_get_sint(value), true);
        else
            put_uint(out, yyjson_get_uint(value), false);
        break;
    case YYJSON_TYPE_ARR:
        put(out, "[", 1);
        yyjson_arr_foreach(value, i, max, item) {
            if (out->left == 0)
                break;
            put(out, " ", i > 0);
            put_value(out, item);
        }
        put(out, "]", 1);
        break;
    case YYJSON_TYPE_OBJ:
        put_object(out, value);
        break;
    default:
        put(out, "<nil>", 5);
        break;
    }
}

const char *event_value_text(yyjson_val *value, char *scratch, size_t scratch_size, size_t *len) {
    if (!value || yyjson_is_null(value))
        return NULL;
    if (yyjson_is_str(value)) {
        if (len)
            *len = unsafe_yyjson_get_len(value);
        return unsafe_yyjson_get_str(value);
    }
    if (scratch_size == 0)
        return NULL;
    Out out = {.at = scratch, .left = scratch_size - 1};
    put_value(&out, value);
    *out.at = '\0';
    if (len)
        *len = (size_t)(out.at - scratch);
    return scratch;
}

const char *event_field_text(const Event *event, const char *name, char *scratch, size_t scratch_size, size_t *len) {
    return event_value_text(event_field(event, name), scratch, scratch_size, len);
}
