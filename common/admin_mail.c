#include "admin_mail.h"
#include <stdlib.h>
#include "check.h"

struct admin_request *admin_request_new(enum admin_kind kind, const struct slice *words,
                                        uint32_t word_count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < word_count; i++)
        bytes += words[i].len;
    struct admin_request *request =
        calloc(1, sizeof(*request) + word_count * sizeof(struct slice) + bytes);
    if (!request)
        return NULL;
    struct slice *copies = (struct slice *)(request + 1);
    uint8_t *at = (uint8_t *)(copies + word_count);
    for (uint32_t i = 0; i < word_count; i++) {
        if (words[i].len > 0)
            memcpy(at, words[i].data, words[i].len);
        copies[i] = slice_from(at, words[i].len);
        at += words[i].len;
    }
    request->kind = kind;
    request->words = copies;
    request->word_count = word_count;
    return request;
}

void admin_request_free(struct admin_request *request)
{
    free(request->text);
    free(request);
}

void admin_request_answer(struct admin_request *request)
{
    request->mail.run = request->reply;
    mail_post(request->reply_to, &request->mail);
}

/* On the control thread. */
static void admin_request_run(struct mail *mail, void *receiver)
{
    struct admin_request *request = container_from(mail, struct admin_request, mail);
    struct admin_server *server = receiver;
    switch (server->serve(server, request)) {
    case ADMIN_DONE:
        admin_request_answer(request);
        break;
    case ADMIN_LATER:
        break;
    case ADMIN_NEVER:
        admin_request_free(request);
        break;
    }
}

void admin_request_post(struct mailbox *control, struct admin_request *request)
{
    request->mail.run = admin_request_run;
    mail_post(control, &request->mail);
}
