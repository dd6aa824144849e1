// libvips-42.dll through its C interface: four host threads resize and encode a picture at once, and what
// comes out is byte for byte what the Linux build of the same version makes of it.
#include <dlfcn.h>

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <bobbin/bobbin.hpp>

namespace bobbin {
namespace {

constexpr int kWidth = 1200, kHeight = 900, kBands = 3, kThreads = 4;
constexpr int kUnsignedChar = 0;  // VIPS_FORMAT_UCHAR

/// The DLL. Every function is called as one that takes more arguments than are declared, as most of libvips'
/// are.
struct Guest {
  const Module& module;
  template <class R, class First, class... More>
  R call(const char* name, First first, More... more) const {
    auto result = module.variadic<R(First)>(name).value()(first, more...);
    if constexpr (!std::is_void_v<R>) return result.value();
  }
};

/// The Linux library.
struct Native {
  void* library;
  template <class R, class First, class... More>
  R call(const char* name, First first, More... more) const {
    return reinterpret_cast<R (*)(First, ...)>(dlsym(library, name))(first, more...);
  }
};

/// Red falls off towards the right, green rings, and blue that no filter smooths away.
std::vector<std::uint8_t> picture() {
  std::vector<std::uint8_t> pixels;
  std::uint32_t noise = 1;
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      noise = noise * 1664525 + 1013904223;
      pixels.push_back(static_cast<std::uint8_t>(255 - 255 * x / kWidth));
      pixels.push_back(static_cast<std::uint8_t>(127.5 + 127.5 * std::sin(std::hypot(x - 300, y - 400) / 9)));
      pixels.push_back(static_cast<std::uint8_t>(noise >> 24));
    }
  }
  return pixels;
}

using Bytes = std::vector<std::uint8_t>;

struct Made {
  Bytes resized, jpeg, thumbnail;
  std::string failed;  ///< what libvips says of it
  bool operator==(const Made&) const = default;
};

/// What one thread does; the sizes differ from thread to thread.
template <class Side>
Made work(const Side& vips, const Bytes& pixels, int number) {
  Made made;
  void* const none = nullptr;
  const auto failed = [&] {
    made.failed = vips.template call<const char*>("vips_error_buffer_copy", none);
    return made;
  };
  const auto pixels_of = [&](void* image) {
    Size size = 0;
    auto* bytes = vips.template call<std::uint8_t*>("vips_image_write_to_memory", image, &size);
    Bytes copy(bytes, bytes + size);
    vips.template call<void>("g_free", static_cast<void*>(bytes));
    vips.template call<void>("g_object_unref", image);
    return copy;
  };
  void* image =
      vips.template call<void*>("vips_image_new_from_memory_copy", static_cast<const void*>(pixels.data()),
                                Size{pixels.size()}, kWidth, kHeight, kBands, kUnsignedChar);
  if (image == nullptr) return failed();
  void* smaller = nullptr;
  if (vips.template call<int>("vips_resize", image, &smaller, 0.2 + 0.15 * number, none) != 0)
    return failed();
  made.resized = pixels_of(smaller);
  void* jpeg = nullptr;
  Size size = 0;
  if (vips.template call<int>("vips_jpegsave_buffer", image, &jpeg, &size, none) != 0) return failed();
  vips.template call<void>("g_object_unref", image);
  made.jpeg.assign(static_cast<std::uint8_t*>(jpeg), static_cast<std::uint8_t*>(jpeg) + size);
  void* thumbnail = nullptr;
  if (vips.template call<int>("vips_thumbnail_buffer", jpeg, size, &thumbnail, 100 + 77 * number, none) != 0)
    return failed();
  made.thumbnail = pixels_of(thumbnail);
  vips.template call<void>("g_free", jpeg);
  return made;
}

template <class Side>
std::vector<Made> work_on_threads(const Side& vips) {
  const Bytes pixels = picture();
  std::vector<Made> made(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] { made[static_cast<std::size_t>(i)] = work(vips, pixels, i); });
  }
  for (std::thread& thread : threads) thread.join();
  return made;
}

TEST(Vips, FourHostThreadsResizeAsTheLinuxBuildDoes) {
  const std::string real = REAL_FOLDER "/@img/";
  const std::string dll = real + "sharp-win32-x64/lib/libvips-42.dll";
  const std::string linux_build = real + "sharp-libvips-linux-x64/lib/libvips-cpp.so.8.18.7";
  for (const std::string& path : {dll, linux_build}) {
    if (!std::filesystem::exists(path))
      GTEST_SKIP() << path << " is not there: tests/real/fetch.py brings it";
  }
  auto runtime = Runtime::start({.system_folder = SYSTEM_FOLDER});
  ASSERT_TRUE(runtime) << runtime.error().message();
  auto module = runtime->load(dll);
  ASSERT_TRUE(module) << module.error().message();
  const Guest guest{*module};
  const Native native{dlopen(linux_build.c_str(), RTLD_NOW | RTLD_LOCAL)};
  ASSERT_NE(native.library, nullptr) << dlerror();
  ASSERT_EQ(guest.call<int>("vips_init", "test"), 0);
  ASSERT_EQ(native.call<int>("vips_init", "test"), 0);

  const std::vector<Made> ours = work_on_threads(guest), theirs = work_on_threads(native);
  for (int i = 0; i < kThreads; ++i) {
    const Made &one = ours[static_cast<std::size_t>(i)], &other = theirs[static_cast<std::size_t>(i)];
    EXPECT_EQ(one.failed, "");
    EXPECT_GT(one.resized.size(), 100'000u * static_cast<std::size_t>(i + 1));
    EXPECT_GT(one.thumbnail.size(), 20'000u);
    EXPECT_TRUE(one.resized == other.resized && one.jpeg == other.jpeg && one.thumbnail == other.thumbnail)
        << "thread " << i;
  }
}

}  // namespace
}  // namespace bobbin
