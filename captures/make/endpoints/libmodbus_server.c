/* A Modbus server (libmodbus), one connection after the other, for ever. Usage: libmodbus_server ADDRESS */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_t *bus = argc == 2 ? modbus_new_tcp(argv[1], 502) : NULL;
    modbus_mapping_t *memory = modbus_mapping_new(128, 128, 200, 100);
    int listener = bus == NULL || memory == NULL ? -1 : modbus_tcp_listen(bus, 1);

    if (listener == -1) {
        fprintf(stderr, "%s\n", modbus_strerror(errno));
        return 1;
    }
    printf("libmodbus %s\n", LIBMODBUS_VERSION_STRING);
    for (;;) {
        int length;
        if (modbus_tcp_accept(bus, &listener) == -1)
            return 1;
        while ((length = modbus_receive(bus, query)) != -1)
            modbus_reply(bus, query, length, memory);
        modbus_close(bus);
    }
}
