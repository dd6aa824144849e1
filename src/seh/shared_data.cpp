#include "seh/shared_data.hpp"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <string_view>
#include <thread>

#include "abi/teb.hpp"
#include "os/os.hpp"
#include "os/service_thread.hpp"

namespace bobbin::seh {
namespace {

constexpr std::uint64_t kAddress = 0x7FFE0000;
constexpr std::size_t kSize = 0x1000;

/// KSYSTEM_TIME: who reads it reads high1, low and high2, until both highs are the same.
struct SystemTime {
  std::uint32_t low;
  std::int32_t high1, high2;
  void set(std::uint64_t value) noexcept {
    const auto high = static_cast<std::int32_t>(value >> 32);
    std::atomic_ref(high2).store(high, std::memory_order_release);
    std::atomic_ref(low).store(static_cast<std::uint32_t>(value), std::memory_order_release);
    std::atomic_ref(high1).store(high, std::memory_order_release);
  }
};

/// Only fields that somebody reads are named.
struct SharedData {
  std::uint32_t tick_count_low_deprecated;  // 0x000
  std::uint32_t tick_count_multiplier;      // 0x004  GetTickCount() = TickCount * this >> 24
  SystemTime interrupt_time;                // 0x008  since the start, in units of 100 ns
  SystemTime system_time;                   // 0x014  since 1601
  SystemTime time_zone_bias;                // 0x020
  std::uint16_t image_number_low, image_number_high;
  char16_t system_root[260];  // 0x030
  std::uint8_t reserved238[0x260 - 0x238];
  std::uint32_t build_number;                       // 0x260
  std::uint32_t product_type;                       // 0x264
  std::uint8_t product_type_is_valid, reserved269;  // 0x268
  std::uint16_t processor_architecture;             // 0x26A
  std::uint32_t major_version, minor_version;       // 0x26C
  std::uint8_t processor_features[64];              // 0x274
  std::uint8_t reserved2b4[0x300 - 0x2B4];
  std::uint64_t counter_frequency;  // 0x300
  std::uint8_t reserved308[0x320 - 0x308];
  SystemTime tick_count;  // 0x320
  std::uint8_t reserved32c[0x3C0 - 0x32C];
  std::uint32_t processor_count;  // 0x3C0
};
static_assert(offsetof(SharedData, build_number) == 0x260 && offsetof(SharedData, major_version) == 0x26C &&
              offsetof(SharedData, counter_frequency) == 0x300 && offsetof(SharedData, tick_count) == 0x320 &&
              offsetof(SharedData, processor_count) == 0x3C0);

os::Mutex g_mutex;
bool g_reserved = false;       ///< guarded by g_mutex
SharedData* g_page = nullptr;  ///< where we write to it; guarded by g_mutex
/// Guarded by g_mutex. Never destroyed: the process may end while it ticks.
std::thread& g_ticker = *new std::thread;
std::atomic<std::uint32_t> g_stop{0};

/// Windows' clock ticks 64 times a second.
constexpr std::uint64_t kTick = 156'250;  // in units of 100 ns
/// Nanoseconds between two looks at the host's clock: finer than Windows' ticks, and no more often than
/// needed, since each takes a processor from the guest's threads (at 1 ms it cost esbuild 3 % of its time).
constexpr long kStep = 4'000'000;

void update(SharedData& page) noexcept {
  const std::uint64_t up = os::monotonic_now() / 100;
  page.interrupt_time.set(up);
  page.system_time.set(os::system_time_now());
  page.tick_count.set(up / kTick);
  page.tick_count_low_deprecated = static_cast<std::uint32_t>(up / kTick);
}

void tick(SharedData& page) noexcept {
  while (g_stop.load(std::memory_order_relaxed) == 0) {
    update(page);
    const timespec step{0, kStep};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &step, nullptr);
  }
}

void fill(SharedData& page) noexcept {
  const abi::PEB& peb = *abi::current_teb()->ProcessEnvironmentBlock;
  page.tick_count_multiplier = 0x0FA00000;
  page.image_number_low = page.image_number_high = 0x8664;
  constexpr std::u16string_view kRoot = u"C:\\Windows";
  std::memcpy(page.system_root, kRoot.data(), 2 * kRoot.size());
  page.build_number = peb.OSBuildNumber;
  page.product_type = 1;  // a workstation
  page.product_type_is_valid = 1;
  page.processor_architecture = 9;  // AMD64
  page.major_version = peb.OSMajorVersion;
  page.minor_version = peb.OSMinorVersion;
  page.counter_frequency = 10'000'000;
  page.processor_count = peb.NumberOfProcessors;
  // PF_*: what every x86-64 processor has, and fail-fast; then what this one has.
  for (const int always : {3, 6, 8, 9, 10, 12, 14, 15, 23}) page.processor_features[always] = 1;
  page.processor_features[13] = __builtin_cpu_supports("sse3") != 0;
  page.processor_features[36] = __builtin_cpu_supports("ssse3") != 0;
  page.processor_features[37] = __builtin_cpu_supports("sse4.1") != 0;
  page.processor_features[38] = __builtin_cpu_supports("sse4.2") != 0;
  page.processor_features[39] = __builtin_cpu_supports("avx") != 0;
  page.processor_features[40] = __builtin_cpu_supports("avx2") != 0;
  update(page);
}

/// The page as we write it, and as the guest reads it.
SharedData* make_page() noexcept {
  const int file = memfd_create("bobbin-shared-data", MFD_CLOEXEC);
  if (file < 0) return nullptr;
  void* page = MAP_FAILED;
  if (ftruncate(file, kSize) == 0) page = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) {
    fill(*static_cast<SharedData*>(page));
    if (mmap(reinterpret_cast<void*>(kAddress), kSize, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0) ==
        MAP_FAILED) {
      munmap(page, kSize);
      page = MAP_FAILED;
    }
  }
  close(file);
  return page != MAP_FAILED ? static_cast<SharedData*>(page) : nullptr;
}

}  // namespace

void reserve_shared_data() noexcept {
  const std::scoped_lock lock(g_mutex);
  if (g_reserved) return;
  void* const wanted = reinterpret_cast<void*>(kAddress);
  void* const got = mmap(wanted, kSize, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  g_reserved = got == wanted;
  if (!g_reserved && got != MAP_FAILED) munmap(got, kSize);
}

bool open_shared_data(std::uint64_t address) noexcept {
  if (address - kAddress >= kSize) return false;
  const std::scoped_lock lock(g_mutex);
  if (!g_reserved) return false;
  if (g_page != nullptr) return true;  // another thread has opened it meanwhile
  g_page = make_page();
  if (g_page == nullptr) return false;
  g_stop = 0;
  g_ticker = os::start_service_thread([page = g_page] { tick(*page); });
  return g_ticker.joinable();
}

void close_shared_data() noexcept {
  const std::scoped_lock lock(g_mutex);
  if (g_page == nullptr) return;
  g_stop = 1;
  if (g_ticker.joinable()) g_ticker.join();
  (void)mmap(reinterpret_cast<void*>(kAddress), kSize, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  munmap(g_page, kSize);
  g_page = nullptr;
}

}  // namespace bobbin::seh
