/* A driver's libnvidia-ml.so.1 for tests: the functions that the nvml source calls, answering what
   the test has put into `fakes`. Every answer has a return code beside it: 0, or an error of NVML. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GPUS 8
#define INSTANCES 7

typedef unsigned long long u64;

struct answer { u64 value; int code; int unused; };

struct instance {
    char uuid[96];
    u64 total, free;
    double activity;
    unsigned number, slices;
    int present, unused;
};

struct gpu {
    char uuid[96];
    char name[96];
    struct answer power, energy, busy, total, free, temperature, clock, reasons, mig, architecture;
    double activity;
    int has_activity, lost;
    struct instance instances[INSTANCES];
};

struct gpu fakes[GPUS];
int fake_count;
int fake_start;       /* what nvmlInit returns */
int fake_old;         /* a driver without the newer functions' answers */
int fake_hang_ms;     /* how long each question of energy takes */
int fake_samples;     /* samples allocated and not freed */
int fake_shutdowns;

#define NOT_SUPPORTED 3
#define NOT_FOUND 6
#define FUNCTION_NOT_FOUND 13
#define LOST 15

struct sample { double activity; };

/* Handles are addresses: of a GPU, or of an instance within one. */
static struct gpu *gpu_of(void *handle)
{
    return &fakes[((char *)handle - (char *)fakes) / sizeof(struct gpu)];
}

static struct instance *instance_of(void *handle)
{
    struct gpu *gpu = gpu_of(handle);
    if (handle == (void *)gpu)
        return NULL;
    return (struct instance *)handle;
}

static int given(void *handle, const struct answer *answer)
{
    if (gpu_of(handle)->lost)
        return LOST;
    return instance_of(handle) ? NOT_SUPPORTED : answer->code;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; return fake_start; }
int nvmlShutdown(void) { fake_shutdowns++; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = fake_count; return 0; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle)
{
    *handle = &fakes[index];
    return fakes[index].lost ? LOST : 0;
}

int nvmlDeviceGetUUID(void *handle, char *text, unsigned size)
{
    struct instance *instance = instance_of(handle);
    strncpy(text, instance ? instance->uuid : gpu_of(handle)->uuid, size);
    return gpu_of(handle)->lost ? LOST : 0;
}

int nvmlDeviceGetName(void *handle, char *text, unsigned size)
{
    strncpy(text, gpu_of(handle)->name, size);
    return gpu_of(handle)->lost ? LOST : 0;
}

#define NUMBER(function, type, field)                                       \
    int function(void *handle, type *value)                                 \
    {                                                                       \
        *value = (type)gpu_of(handle)->field.value;                         \
        return given(handle, &gpu_of(handle)->field);                       \
    }

NUMBER(nvmlDeviceGetPowerUsage, unsigned, power)
NUMBER(nvmlDeviceGetArchitecture, unsigned, architecture)

int nvmlDeviceGetTotalEnergyConsumption(void *handle, u64 *value)
{
    if (fake_hang_ms)
        usleep(fake_hang_ms * 1000);
    *value = gpu_of(handle)->energy.value;
    return given(handle, &gpu_of(handle)->energy);
}

struct temperature { unsigned version; int sensor, celsius; };

int nvmlDeviceGetTemperatureV(void *handle, struct temperature *asked)
{
    if (fake_old)
        return FUNCTION_NOT_FOUND;
    asked->celsius = (int)gpu_of(handle)->temperature.value;
    return given(handle, &gpu_of(handle)->temperature);
}

int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *value)
{
    (void)sensor;
    *value = (unsigned)gpu_of(handle)->temperature.value;
    return given(handle, &gpu_of(handle)->temperature);
}

int nvmlDeviceGetClockInfo(void *handle, int type, unsigned *value)
{
    *value = (unsigned)gpu_of(handle)->clock.value;
    return type == 1 ? given(handle, &gpu_of(handle)->clock) : NOT_SUPPORTED;
}

int nvmlDeviceGetCurrentClocksEventReasons(void *handle, u64 *value)
{
    if (fake_old)
        return FUNCTION_NOT_FOUND;
    *value = gpu_of(handle)->reasons.value;
    return given(handle, &gpu_of(handle)->reasons);
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, u64 *value)
{
    *value = gpu_of(handle)->reasons.value;
    return given(handle, &gpu_of(handle)->reasons);
}

struct memory { u64 total, free, used; };

int nvmlDeviceGetMemoryInfo(void *handle, struct memory *memory)
{
    struct instance *instance = instance_of(handle);
    if (gpu_of(handle)->lost)
        return LOST;
    memory->total = instance ? instance->total : gpu_of(handle)->total.value;
    memory->free = instance ? instance->free : gpu_of(handle)->free.value;
    memory->used = 0; /* not to be used: it counts differently from driver to driver */
    return instance ? 0 : gpu_of(handle)->total.code;
}

struct utilisation { unsigned gpu, memory; };

int nvmlDeviceGetUtilizationRates(void *handle, struct utilisation *rates)
{
    rates->gpu = (unsigned)gpu_of(handle)->busy.value;
    return given(handle, &gpu_of(handle)->busy);
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending)
{
    *current = *pending = (unsigned)gpu_of(handle)->mig.value;
    return given(handle, &gpu_of(handle)->mig);
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count)
{
    (void)handle;
    *count = INSTANCES;
    return 0;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **instance)
{
    *instance = &gpu_of(handle)->instances[index];
    return gpu_of(handle)->instances[index].present ? 0 : NOT_FOUND;
}

int nvmlDeviceGetGpuInstanceId(void *handle, unsigned *number)
{
    struct instance *instance = instance_of(handle);
    if (!instance)
        return NOT_SUPPORTED;
    *number = instance->number;
    return 0;
}

struct attributes { unsigned multiprocessors, shared[5], slices, compute_slices; u64 memory_mb; };

int nvmlDeviceGetAttributes_v2(void *handle, struct attributes *attributes)
{
    struct instance *instance = instance_of(handle);
    if (fake_old)
        return FUNCTION_NOT_FOUND;
    if (!instance)
        return NOT_SUPPORTED;
    memset(attributes, 0, sizeof *attributes);
    attributes->slices = instance->slices;
    return 0;
}

struct support { unsigned version, supported; };

int nvmlGpmQueryDeviceSupport(void *handle, struct support *support)
{
    support->supported = gpu_of(handle)->has_activity;
    return fake_old ? FUNCTION_NOT_FOUND : 0;
}

int nvmlGpmSampleAlloc(struct sample **sample)
{
    *sample = calloc(1, sizeof **sample);
    fake_samples++;
    return 0;
}

int nvmlGpmSampleFree(struct sample *sample)
{
    free(sample);
    fake_samples--;
    return 0;
}

int nvmlGpmSampleGet(void *handle, struct sample *sample)
{
    sample->activity = gpu_of(handle)->activity;
    return gpu_of(handle)->lost ? LOST : 0;
}

int nvmlGpmMigSampleGet(void *handle, unsigned number, struct sample *sample)
{
    struct gpu *gpu = gpu_of(handle);
    for (int at = 0; at < INSTANCES; at++)
        if (gpu->instances[at].present && gpu->instances[at].number == number) {
            sample->activity = gpu->instances[at].activity;
            return gpu->lost ? LOST : 0;
        }
    return NOT_FOUND;
}

struct metric { unsigned id; int code; double value; const char *names[3]; };
struct metrics {
    unsigned version, count;
    struct sample *before, *now;
    struct metric list[1];
};

int nvmlGpmMetricsGet(struct metrics *asked)
{
    if (asked->version != 1 || asked->count != 1 || !asked->before || !asked->now)
        return 2;
    asked->list[0].code = asked->list[0].id == 2 ? 0 : NOT_SUPPORTED;
    asked->list[0].value = asked->now->activity;
    return 0;
}

const char *nvmlErrorString(int code) { (void)code; return "error"; }
