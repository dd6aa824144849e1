// Debian's zlib1.dll, a Windows DLL that nobody here wrote, used by eight std::threads of a Linux program.
//
//     zlib_threads [path of zlib1.dll]
//
// 64 MiB of real data (programs, libraries, texts of this machine) are cut into pieces. Each thread takes a
// piece, compresses it with the Windows DLL, and inflates it again with the DLL. Then the Linux zlib does the
// same, and every byte is compared: what the DLL inflates is the original; what the DLL compressed, the Linux
// zlib inflates to the original; and the reverse. No thread knows anything about Windows: the first call
// attaches it.
#include <zlib.h>

#include <atomic>
#include <bobbin/bobbin.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kTotal = 64u << 20, kPiece = 1u << 20, kPieces = kTotal / kPiece;
constexpr unsigned kThreads = 8;
constexpr int kLevel = 6;

using Bytes = std::vector<unsigned char>;

template <class T>
T must(bobbin::Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "zlib_threads: %s\n", result.error().message().c_str());
  std::exit(1);
}

[[noreturn]] void give_up(const char* what, long code) {
  std::fprintf(stderr, "zlib_threads: %s gave %ld\n", what, code);
  std::exit(1);
}

// ---- the data
// ------------------------------------------------------------------------------------------------

void append_files(Bytes& data, const char* folder) {
  namespace fs = std::filesystem;
  std::error_code ignored;  // what cannot be read is left out
  fs::recursive_directory_iterator files(folder, fs::directory_options::skip_permission_denied, ignored), end;
  for (; files != end && data.size() < kTotal; files.increment(ignored)) {
    if (files->is_symlink(ignored) || !files->is_regular_file(ignored)) continue;
    std::ifstream file(files->path(), std::ios::binary);
    auto size = std::min<std::size_t>(files->file_size(ignored), kTotal - data.size());
    auto before = data.size();
    data.resize(before + size);
    file.read(reinterpret_cast<char*>(data.data() + before), static_cast<std::streamsize>(size));
    data.resize(before + static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  }
}

// Half of it programs and libraries, half whatever /usr/share holds.
Bytes real_data() {
  Bytes data;
  data.reserve(kTotal);
  for (const char* folder : {"/usr/share", "/usr/bin", "/usr/lib", "/usr/include"}) {
    append_files(data, folder);
    if (data.size() >= kTotal) break;
  }
  if (data.size() < kTotal) give_up("reading 64 MiB from /usr", static_cast<long>(data.size()));
  return data;
}

// ---- the two zlibs
// -------------------------------------------------------------------------------------------

// What both offer: zlib's one-call interface, which is the same on both sides but for the size of `long`.
struct Codec {
  explicit Codec(const char* what) : name(what) {}

  const char* name;
  virtual void compress(Bytes& to, const unsigned char* from, std::size_t size) const = 0;
  virtual void inflate(Bytes& to, std::size_t size, const Bytes& from) const = 0;

 protected:
  ~Codec() = default;
};

struct LinuxZlib final : Codec {
  LinuxZlib() : Codec("Linux zlib") {}

  void compress(Bytes& to, const unsigned char* from, std::size_t size) const override {
    auto length = ::compressBound(size);
    to.resize(length);
    if (int code = ::compress2(to.data(), &length, from, size, kLevel)) give_up("compress2 (Linux)", code);
    to.resize(length);
  }

  void inflate(Bytes& to, std::size_t size, const Bytes& from) const override {
    to.resize(size);
    auto length = static_cast<uLongf>(size);
    if (int code = ::uncompress(to.data(), &length, from.data(), from.size()))
      give_up("uncompress (Linux)", code);
    to.resize(length);
  }
};

// Windows' long has 32 bits, so zlib's uLong is std::uint32_t here.
struct WindowsZlib final : Codec {
  using Compress = std::int32_t(void*, std::uint32_t*, const void*, std::uint32_t, std::int32_t);
  using Uncompress = std::int32_t(void*, std::uint32_t*, const void*, std::uint32_t);

  explicit WindowsZlib(bobbin::Module& dll)
      : Codec("zlib1.dll"),
        bound_(must(dll.function<std::uint32_t(std::uint32_t)>("compressBound"))),
        compress_(must(dll.function<Compress>("compress2"))),
        uncompress_(must(dll.function<Uncompress>("uncompress"))) {}

  void compress(Bytes& to, const unsigned char* from, std::size_t size) const override {
    auto length = must(bound_(static_cast<std::uint32_t>(size)));
    to.resize(length);
    auto code = must(compress_(to.data(), &length, from, static_cast<std::uint32_t>(size), kLevel));
    if (code) give_up("compress2 (zlib1.dll)", code);
    to.resize(length);
  }

  void inflate(Bytes& to, std::size_t size, const Bytes& from) const override {
    to.resize(size);
    auto length = static_cast<std::uint32_t>(size);
    auto code = must(uncompress_(to.data(), &length, from.data(), static_cast<std::uint32_t>(from.size())));
    if (code) give_up("uncompress (zlib1.dll)", code);
    to.resize(length);
  }

 private:
  bobbin::Function<std::uint32_t(std::uint32_t)> bound_;
  bobbin::Function<Compress> compress_;
  bobbin::Function<Uncompress> uncompress_;
};

// ---- the work
// ------------------------------------------------------------------------------------------------

// Calls work(piece) for every piece, from kThreads threads, and says how many seconds that took.
template <class Work>
double for_every_piece(Work work) {
  std::atomic<std::size_t> next{0};
  auto started = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      for (std::size_t piece; (piece = next++) < kPieces;) work(piece);
    });
  for (auto& thread : threads) thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

using Pieces = std::vector<Bytes>;

struct Outcome {
  Pieces compressed = Pieces(kPieces), inflated = Pieces(kPieces);
  std::size_t compressed_size = 0;
};

Outcome run(const Codec& codec, const Bytes& data) {
  Outcome outcome;
  auto compressing = for_every_piece(
      [&](std::size_t i) { codec.compress(outcome.compressed[i], data.data() + i * kPiece, kPiece); });
  auto inflating = for_every_piece(
      [&](std::size_t i) { codec.inflate(outcome.inflated[i], kPiece, outcome.compressed[i]); });
  for (const auto& piece : outcome.compressed) outcome.compressed_size += piece.size();
  constexpr double kMiB = kTotal / double(1u << 20);
  std::printf("%-11s compresses %6.1f MiB/s to %zu bytes, inflates %6.1f MiB/s\n", codec.name,
              kMiB / compressing, outcome.compressed_size, kMiB / inflating);
  return outcome;
}

bool is_original(const Bytes& piece, const Bytes& data, std::size_t i) {
  return piece.size() == kPiece && std::memcmp(piece.data(), data.data() + i * kPiece, kPiece) == 0;
}

// How many pieces are the original: as inflated by their own side, and by the other side.
std::size_t count_good(const Outcome& outcome, const Codec& other, const Bytes& data) {
  std::atomic<std::size_t> good{0};
  for_every_piece([&](std::size_t i) {
    Bytes crossed;
    other.inflate(crossed, kPiece, outcome.compressed[i]);
    good += is_original(outcome.inflated[i], data, i) && is_original(crossed, data, i);
  });
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  auto runtime = must(bobbin::Runtime::start({}));
  auto dll = must(runtime.load(argc > 1 ? argv[1] : "/usr/x86_64-w64-mingw32/lib/zlib1.dll"));
  WindowsZlib windows(dll);
  LinuxZlib native;

  auto data = real_data();
  std::printf("%zu MiB of files below /usr, %u threads, pieces of %zu KiB\n", kTotal >> 20, kThreads,
              kPiece >> 10);
  auto by_windows = run(windows, data);
  auto by_linux = run(native, data);
  auto good_windows = count_good(by_windows, native, data), good_linux = count_good(by_linux, windows, data);
  std::printf("zlib1.dll's pieces, inflated by both: %zu of %zu are the original\n", good_windows, kPieces);
  std::printf("Linux zlib's pieces, inflated by both: %zu of %zu are the original\n", good_linux, kPieces);
  return good_windows == kPieces && good_linux == kPieces ? 0 : 1;
}
