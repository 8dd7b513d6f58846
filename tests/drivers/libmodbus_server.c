/* A Modbus server of libmodbus: `server tcp` prints the free port of this machine that it took, `server rtu PATH UNIT`
   prints "ready". 200 of each: coil i is on when 3 divides i, discrete input i when i is odd, holding register i is i,
   input register i is 1000 + i. Each write of several (functions 15 and 16) is printed: function, address, values. It
   ends with its standard input. */
#include <arpa/inet.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 200, MOST_CLIENTS = 64 };

static modbus_mapping_t *memory(void)
{
    modbus_mapping_t *map = modbus_mapping_new(SIZE, SIZE, SIZE, SIZE);
    for (int i = 0; map != NULL && i < SIZE; i++) {
        map->tab_bits[i] = i % 3 == 0;
        map->tab_input_bits[i] = i % 2;
        map->tab_registers[i] = i;
        map->tab_input_registers[i] = 1000 + i;
    }
    return map;
}

static void note(modbus_t *ctx, const uint8_t *query, const modbus_mapping_t *map)
{
    const uint8_t *pdu = query + modbus_get_header_length(ctx);
    int address = MODBUS_GET_INT16_FROM_INT8(pdu, 1), count = MODBUS_GET_INT16_FROM_INT8(pdu, 3);
    if ((pdu[0] != MODBUS_FC_WRITE_MULTIPLE_COILS && pdu[0] != MODBUS_FC_WRITE_MULTIPLE_REGISTERS) || address + count > SIZE)
        return;
    printf("%d %d", pdu[0], address);
    for (int i = address; i < address + count; i++)
        printf(" %d", pdu[0] == MODBUS_FC_WRITE_MULTIPLE_COILS ? map->tab_bits[i] : map->tab_registers[i]);
    printf("\n");
    fflush(stdout);
}

/* Answers one request; 0 when the other end has gone. */
static int answer(modbus_t *ctx, modbus_mapping_t *map)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    int length = modbus_receive(ctx, query);
    if (length > 0) {
        modbus_reply(ctx, query, length, map);
        note(ctx, query, map);
    }
    return length >= 0;
}

static int serve_tcp(modbus_mapping_t *map)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", 0);
    int listening = ctx == NULL ? -1 : modbus_tcp_listen(ctx, MOST_CLIENTS);
    if (listening < 0 || getsockname(listening, (struct sockaddr *)&address, &size) < 0)
        return 1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);

    fd_set open_ones;
    FD_ZERO(&open_ones);
    FD_SET(STDIN_FILENO, &open_ones);
    FD_SET(listening, &open_ones);
    for (;;) {
        fd_set ready = open_ones;
        if (select(FD_SETSIZE, &ready, NULL, NULL, NULL) < 0 || FD_ISSET(STDIN_FILENO, &ready))
            return 0;
        for (int fd = 0; fd < FD_SETSIZE; fd++) {
            if (!FD_ISSET(fd, &ready))
                continue;
            if (fd == listening) {
                int client = accept(listening, NULL, NULL);
                if (client >= 0)
                    FD_SET(client, &open_ones);
                continue;
            }
            modbus_set_socket(ctx, fd);
            if (!answer(ctx, map)) {
                close(fd);
                FD_CLR(fd, &open_ones);
            }
        }
    }
}

static int serve_rtu(modbus_mapping_t *map, const char *path, int unit)
{
    modbus_t *ctx = modbus_new_rtu(path, 115200, 'N', 8, 1);
    if (ctx == NULL || modbus_set_slave(ctx, unit) < 0 || modbus_connect(ctx) < 0)
        return 1;
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        fd_set ready;
        FD_ZERO(&ready);
        FD_SET(STDIN_FILENO, &ready);
        FD_SET(modbus_get_socket(ctx), &ready);
        if (select(FD_SETSIZE, &ready, NULL, NULL, NULL) < 0 || FD_ISSET(STDIN_FILENO, &ready))
            return 0;
        answer(ctx, map);
    }
}

int main(int argc, char **argv)
{
    modbus_mapping_t *map = memory();
    if (map != NULL && argc == 2 && strcmp(argv[1], "tcp") == 0)
        return serve_tcp(map);
    if (map != NULL && argc == 4 && strcmp(argv[1], "rtu") == 0)
        return serve_rtu(map, argv[2], atoi(argv[3]));
    return 2;
}
