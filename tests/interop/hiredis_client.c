/* hiredis against a node: the C client that others are built on. usage: hiredis_client HOST PORT */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed;

static void expect(int good, const char *what)
{
    printf("%s %s\n", good ? "ok  " : "FAIL", what);
    failed += !good;
}

static redisReply *ask(redisContext *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = redisvCommand(c, format, args);
    va_end(args);
    if (r == NULL) {
        printf("FAIL %s: %s\n", format, c->errstr);
        exit(1);
    }
    return r;
}

static void test_values(redisContext *c)
{
    static char bytes[100000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    freeReplyObject(ask(c, "SET b %b", bytes, sizeof(bytes)));
    redisReply *r = ask(c, "GET b");
    expect(r->type == REDIS_REPLY_STRING && r->len == sizeof(bytes) &&
               memcmp(r->str, bytes, r->len) == 0, "binary value");
    freeReplyObject(r);
    r = ask(c, "GET none");
    expect(r->type == REDIS_REPLY_NIL, "no value");
    freeReplyObject(r);
    r = ask(c, "INCR b");
    expect(r->type == REDIS_REPLY_ERROR, "an error is an error");
    freeReplyObject(r);
}

static void test_pipeline(redisContext *c)
{
    enum { COUNT = 20000 };
    for (int i = 0; i < COUNT; i++)
        redisAppendCommand(c, "ECHO %d", i);
    int good = 1;
    for (int i = 0; i < COUNT; i++) {
        redisReply *r = NULL;
        if (redisGetReply(c, (void **)&r) != REDIS_OK) {
            printf("FAIL pipeline: %s\n", c->errstr);
            exit(1);
        }
        good &= r->type == REDIS_REPLY_STRING && atoi(r->str) == i;
        freeReplyObject(r);
    }
    expect(good, "20,000 commands in one pipeline, in order");
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    struct timeval wait = {10, 0};
    redisContext *c = redisConnectWithTimeout(argv[1], atoi(argv[2]), wait);
    if (c == NULL || c->err) {
        printf("FAIL connect: %s\n", c ? c->errstr : "no memory");
        return 1;
    }
    redisSetTimeout(c, wait);
    test_values(c);
    test_pipeline(c);
    redisFree(c);
    return failed != 0;
}
