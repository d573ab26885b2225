/*
 * Tells a story: text in, text out, around the functions that mithrilc makes of llama.mth.
 *
 *     mithrilc build llama.mth -o gen --weights stories260K.safetensors --weights-as embed
 *     cc -O2 -Igen main.c gen/llama*.c -lm -o story
 *     ./story -i "Once upon a time"
 *
 * The network is three calls: llama_reset empties the caches, llama_prefill reads the prompt at
 * once, llama_decode reads one token; the last two give the logits of the token to come. The rest
 * is here: a tokenizer (the file of llama2.c: sentencepiece pieces and scores), a sampler, printing.
 */
#include "llama.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { Vocab = 512, Context = 512 }; /* LlamaConfig.vocab and .max_len of llama.mth */
enum { Begin = 1, FirstByte = 3 };   /* tokens: the beginning of a text; the first of 256 bytes */

static void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("story: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void *allocate(size_t size) {
    void *p = malloc(size ? size : 1);
    if (!p)
        fail("out of memory");
    return p;
}

/* ---------------------------------------------------------------- tokenizer */

typedef struct {
    const unsigned char *text;
    int length;
    float score;
} Piece;

typedef struct {
    Piece pieces[Vocab];
    int sorted[Vocab]; /* the tokens in the order of their texts, for find */
} Tokenizer;

static unsigned char *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f)
        fail("%s: %s", path, strerror(errno));
    unsigned char *data = NULL;
    size_t room = 1 << 12;
    for (*size = 0;;) {
        room *= 2;
        data = realloc(data, room);
        if (!data)
            fail("out of memory");
        *size += fread(data + *size, 1, room - *size, f);
        if (*size < room)
            break;
    }
    if (ferror(f))
        fail("%s: %s", path, strerror(errno));
    fclose(f);
    return data;
}

static uint32_t u32_at(const unsigned char *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float f32_at(const unsigned char *p) {
    uint32_t bits = u32_at(p);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int compare_texts(const unsigned char *a, int a_length, const unsigned char *b,
                         int b_length) {
    int order = memcmp(a, b, (size_t)(a_length < b_length ? a_length : b_length));
    return order ? order : a_length - b_length;
}

/* Shell's sort: 512 pieces, once. */
static void sort_pieces(Tokenizer *t) {
    for (int i = 0; i < Vocab; i++)
        t->sorted[i] = i;
    for (int gap = Vocab / 2; gap > 0; gap /= 2) {
        for (int i = gap; i < Vocab; i++) {
            int token = t->sorted[i], j = i;
            const Piece *p = &t->pieces[token];
            for (; j >= gap; j -= gap) {
                const Piece *q = &t->pieces[t->sorted[j - gap]];
                if (compare_texts(q->text, q->length, p->text, p->length) <= 0)
                    break;
                t->sorted[j] = t->sorted[j - gap];
            }
            t->sorted[j] = token;
        }
    }
}

/* The file: i32 length of the longest piece; then for each token f32 score, i32 length, its bytes. */
static void load_tokenizer(Tokenizer *t, const char *path) {
    size_t size, at = 4;
    const unsigned char *data = read_file(path, &size);
    if (size < 4)
        fail("%s: not a tokenizer: %zu bytes", path, size);
    uint32_t longest = u32_at(data);
    for (int i = 0; i < Vocab; i++) {
        if (size - at < 8)
            fail("%s: ends in token %d of %d", path, i, Vocab);
        float score = f32_at(data + at);
        uint32_t length = u32_at(data + at + 4);
        at += 8;
        if (length == 0 || length > longest || length > size - at)
            fail("%s: token %d is %u bytes long; the longest is %u, and %zu are left", path, i,
                 (unsigned)length, (unsigned)longest, size - at);
        if (!isfinite(score))
            fail("%s: the score of token %d is not a number", path, i);
        t->pieces[i] = (Piece){ data + at, (int)length, score };
        at += length;
    }
    if (at != size)
        fail("%s: %zu bytes after the last of %d tokens", path, size - at, Vocab);
    sort_pieces(t);
}

/* The token with this text, or -1. */
static int find(const Tokenizer *t, const unsigned char *text, int length) {
    int low = 0, high = Vocab;
    while (low < high) {
        int middle = (low + high) / 2;
        const Piece *p = &t->pieces[t->sorted[middle]];
        int order = compare_texts(p->text, p->length, text, length);
        if (order == 0)
            return t->sorted[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* The token that is the texts of a and b together, or -1. */
static int merged(const Tokenizer *t, int a, int b) {
    unsigned char text[256];
    const Piece *p = &t->pieces[a], *q = &t->pieces[b];
    if (p->length + q->length > (int)sizeof text)
        return -1;
    memcpy(text, p->text, (size_t)p->length);
    memcpy(text + p->length, q->text, (size_t)q->length);
    return find(t, text, p->length + q->length);
}

/* Byte-pair encoding: Begin, a space, the characters (of one that is no piece, its bytes); then, while
   two neighbours make a piece, those of the best score are joined. `tokens` has room for two more
   than the text. */
static int encode(const Tokenizer *t, const char *prompt, int32_t *tokens) {
    const unsigned char *text = (const unsigned char *)prompt;
    int count = 0;
    tokens[count++] = Begin;
    int space = find(t, (const unsigned char *)" ", 1);
    if (*text && space >= 0)
        tokens[count++] = space;

    while (*text) {
        int length = 1;
        while (length < 4 && (text[length] & 0xC0) == 0x80)
            length++; /* the rest of a UTF-8 character */
        int token = find(t, text, length);
        if (token >= 0)
            tokens[count++] = token;
        else
            for (int i = 0; i < length; i++)
                tokens[count++] = FirstByte + text[i];
        text += length;
    }

    for (;;) {
        int best = -1, best_token = -1;
        for (int i = 1; i + 1 < count; i++) {
            int token = merged(t, tokens[i], tokens[i + 1]);
            if (token >= 0 && (best < 0 || t->pieces[token].score > t->pieces[best_token].score)) {
                best = i;
                best_token = token;
            }
        }
        if (best < 0)
            return count;
        tokens[best] = best_token;
        memmove(tokens + best + 1, tokens + best + 2, (size_t)(count - best - 2) * sizeof *tokens);
        count--;
    }
}

/* A byte alone is printed unless it would drive the terminal. */
static void print_byte(int byte) {
    if (!iscntrl(byte) || isspace(byte))
        putchar(byte);
}

static void print_token(const Tokenizer *t, int before, int token) {
    const Piece *p = &t->pieces[token];
    if (token >= FirstByte && token < FirstByte + 256) {
        print_byte(token - FirstByte);
    } else if (p->length == 1) {
        print_byte(p->text[0]);
    } else {
        int skip = before == Begin && p->text[0] == ' '; /* the space that encode put in front */
        fwrite(p->text + skip, 1, (size_t)(p->length - skip), stdout);
    }
    fflush(stdout);
}

/* ---------------------------------------------------------------- sampler */

typedef struct {
    double temperature; /* 0: always the likeliest */
    double top_p;       /* of the tokens, only the likeliest that make up this much */
    uint64_t random;
} Sampler;

typedef struct {
    double weight;
    int token;
} Choice;

/* SplitMix64; the upper 53 bits as a number in [0, 1). */
static double draw(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static int likeliest(const float *logits) {
    int best = 0;
    for (int i = 1; i < Vocab; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

static int compare_choices(const void *a, const void *b) {
    const Choice *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? 1 : -1;
    return x->token - y->token;
}

static int sample(Sampler *s, const float *logits) {
    int best = likeliest(logits);
    if (s->temperature == 0.0)
        return best;

    Choice choices[Vocab];
    double total = 0.0;
    for (int i = 0; i < Vocab; i++) {
        choices[i] = (Choice){ exp((double)(logits[i] - logits[best]) / s->temperature), i };
        total += choices[i].weight;
    }
    qsort(choices, Vocab, sizeof *choices, compare_choices);

    double kept = 0.0;
    int count = 0;
    do
        kept += choices[count++].weight;
    while (count < Vocab && kept < s->top_p * total);

    double point = draw(&s->random) * kept;
    for (int i = 0; i < count; i++) {
        point -= choices[i].weight;
        if (point < 0.0)
            return choices[i].token;
    }
    return choices[count - 1].token;
}

/* ---------------------------------------------------------------- .npy: what a test compares */

static void write_npy(const char *path, const char *type, const char *shape, const void *data,
                      size_t size) {
    char header
        [128]; /* magic, version, length, a Python dictionary; spaces and a newline fill it up */
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10); /* 0x76 = 128 - 10 */
    int length = snprintf(header + 10, sizeof header - 10,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", type, shape);
    header[10 + length] = ' ';
    header[sizeof header - 1] = '\n';

    FILE *f = fopen(path, "wb");
    if (!f)
        fail("%s: %s", path, strerror(errno));
    bool written = fwrite(header, sizeof header, 1, f) == 1 && fwrite(data, 1, size, f) == size;
    if (fclose(f) != 0 || !written)
        fail("%s: %s", path, strerror(errno));
}

/* ---------------------------------------------------------------- the story */

static llama_state state;
static unsigned char room[LLAMA_WORK_BYTES + 64];

static int32_t story[Context + 1];   /* Begin, the prompt, what follows */
static float logits[Context][Vocab]; /* a row for each token that was chosen */

typedef struct {
    const char *prompt, *tokenizer, *tokens_out, *logits_out;
    int steps;
    Sampler sampler;
} Options;

static double seconds(void) /* of the processor; there is one thread */
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void succeed(int code) {
    if (code != 0)
        fail("%s", llama_strerror(code));
}

/* Reads the prompt into `story`; returns how many tokens it is, Begin among them. */
static int read_prompt(const Tokenizer *t, const Options *o) {
    int32_t *tokens = allocate((strlen(o->prompt) + 2) * sizeof *tokens);
    int count = encode(t, o->prompt, tokens);
    if (count > o->steps)
        fail("the prompt is %d tokens long, and there are %d steps", count, o->steps);
    memcpy(story, tokens, (size_t)count * sizeof *tokens);
    free(tokens);
    for (int i = 1; i < count; i++)
        print_token(t, story[i - 1], story[i]);
    return count;
}

static void tell(const Tokenizer *t, Options *o) {
    int count = read_prompt(t, o), rows = 0;
    unsigned char *work =
        room + 64 - (uintptr_t)room % 64; /* what is lent to a call is aligned to 64 bytes */
    double start = seconds();

    llama_reset(&state);
    succeed(llama_prefill(&llama_embedded, &state, story, 0, logits[0], count, work));
    for (;;) {
        int token = sample(&o->sampler, logits[rows++]);
        story[count++] = token;
        if (token == Begin)
            break; /* the next story begins */
        print_token(t, story[count - 2], token);
        if (count > o->steps)
            break;
        succeed(llama_decode(&llama_embedded, &state, &story[count - 1], count - 1, logits[rows],
                             work));
    }
    double elapsed = seconds() - start;
    putchar('\n');
    fflush(stdout);
    fprintf(stderr, "%d tokens, tokens/s: %.0f\n", count - 1, (count - 1) / elapsed);

    char shape[32];
    if (o->tokens_out) {
        snprintf(shape, sizeof shape, "%d,", count);
        write_npy(o->tokens_out, "<i4", shape, story, (size_t)count * sizeof *story);
    }
    if (o->logits_out) {
        snprintf(shape, sizeof shape, "%d, %d", rows, Vocab);
        write_npy(o->logits_out, "<f4", shape, logits, (size_t)rows * sizeof *logits);
    }
}

/* ---------------------------------------------------------------- the command line */

static const char usage[] =
    "usage: story [options]\n"
    "  -i TEXT           how the story begins\n"
    "  -n STEPS          tokens in all, at most 512 (256)\n"
    "  -t TEMPERATURE    0 takes the likeliest token, 1 draws as the model says (0)\n"
    "  -p TOP_P          draws from the likeliest tokens that make up this much (0.9)\n"
    "  -s SEED           of the draws (1)\n"
    "  --tokenizer FILE  (tok512.bin)\n"
    "  --tokens-out FILE the tokens as .npy, i32[n]\n"
    "  --logits-out FILE the logits each token was chosen by as .npy, f32[n, 512]\n";

static void misuse(const char *format, const char *what) {
    fputs("story: ", stderr);
    fprintf(stderr, format, what);
    fprintf(stderr, "\n%s", usage);
    exit(2);
}

static double number(const char *option, const char *text, double low, double high) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= low && value <= high)) {
        char what[64];
        snprintf(what, sizeof what, "%s takes a number from %g to %g", option, low, high);
        misuse("%s", what);
    }
    return value;
}

static double whole(const char *option, const char *text, double low, double high) {
    double value = number(option, text, low, high);
    if (value != floor(value))
        misuse("%s takes a whole number", option);
    return value;
}

static Options read_options(int argc, char **argv) {
    Options o = {
        .prompt = "", .tokenizer = "tok512.bin", .steps = 256, .sampler = {0.0, 0.9, 1}
    };
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        }
        if (!value)
            misuse("%s needs a value", name);
        if (strcmp(name, "-i") == 0)
            o.prompt = value;
        else if (strcmp(name, "-n") == 0)
            o.steps = (int)whole(name, value, 1, Context);
        else if (strcmp(name, "-t") == 0)
            o.sampler.temperature = number(name, value, 0.0, 100.0);
        else if (strcmp(name, "-p") == 0)
            o.sampler.top_p = number(name, value, 0.0, 1.0);
        else if (strcmp(name, "-s") == 0)
            o.sampler.random = (uint64_t)whole(name, value, 0, 0x1p53);
        else if (strcmp(name, "--tokenizer") == 0)
            o.tokenizer = value;
        else if (strcmp(name, "--tokens-out") == 0)
            o.tokens_out = value;
        else if (strcmp(name, "--logits-out") == 0)
            o.logits_out = value;
        else
            misuse("no option %s", name);
    }
    return o;
}

int main(int argc, char **argv) {
    static Tokenizer tokenizer;
    Options o = read_options(argc, argv);
    load_tokenizer(&tokenizer, o.tokenizer);
    tell(&tokenizer, &o);
    return 0;
}
