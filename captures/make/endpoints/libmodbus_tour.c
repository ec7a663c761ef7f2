/* What libmodbus can ask, and one raw function 90 (UMAS) that the server refuses. Usage: libmodbus_tour ADDRESS */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    uint16_t words[64] = {5, 6};
    uint8_t bits[64] = {1};
    uint8_t id[128];
    uint8_t answer[MODBUS_TCP_MAX_ADU_LENGTH];
    uint8_t umas[] = {1, 0x5a, 0, 1, 0};
    modbus_t *bus = argc == 2 ? modbus_new_tcp(argv[1], 502) : NULL;

    if (bus == NULL || modbus_set_slave(bus, 1) != 0 || modbus_connect(bus) != 0) {
        fprintf(stderr, "%s\n", modbus_strerror(errno));
        return 1;
    }
    printf("libmodbus %s\n", LIBMODBUS_VERSION_STRING);
    modbus_read_bits(bus, 0, 9, bits);
    modbus_read_input_bits(bus, 0, 9, bits);
    modbus_read_registers(bus, 0, 10, words);
    modbus_read_input_registers(bus, 0, 5, words);
    modbus_write_bit(bus, 7, 1);
    modbus_write_register(bus, 8, 77);
    modbus_write_bits(bus, 0, 3, bits);
    modbus_write_registers(bus, 30, 2, words);
    modbus_mask_write_register(bus, 4, 0xf2, 0x25);
    modbus_write_and_read_registers(bus, 1, 2, words, 0, 4, words);
    modbus_report_slave_id(bus, sizeof id, id);
    modbus_read_registers(bus, 5000, 10, words);
    modbus_send_raw_request(bus, umas, sizeof umas);
    modbus_receive_confirmation(bus, answer);
    modbus_close(bus);
    modbus_free(bus);
    return 0;
}
