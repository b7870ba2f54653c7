#include "stub.h"

typedef struct { unsigned long long size; unsigned frequency; unsigned long long usage; int temperature; unsigned bandwidth; } hbm_info;
typedef struct { unsigned char type[32], name[32], version[32]; unsigned cores; unsigned char npu[32]; } chip_info;

int dcmiv2_init(void) { STEP(dcmiv2_init); return 0; }
int dcmiv2_get_device_list(int *count, int *list, int length) {
    STEP(dcmiv2_get_device_list);
    *count = (int)stub_count;
    for (int i = 0; i < *count && i < length; i++) list[i] = i;
    return 0;
}
int dcmiv2_get_device_chip_info(int device, chip_info *info) { STEP(dcmiv2_get_device_chip_info); (void)device; stub_text((char *)info->name, 32, "950"); info->cores = NUMBER(32u); return 0; }
int dcmiv2_get_device_hbm_info(int device, hbm_info *hbm) { STEP(dcmiv2_get_device_hbm_info); (void)device; hbm->size = NUMBER(65536ull); hbm->usage = NUMBER(3072ull); return 0; }
/* The first generation's: it must be left alone. */
int dcmi_init(void) { abort(); }
