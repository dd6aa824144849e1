#include "image/image.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "abi/status.hpp"
#include "base/test_folder.hpp"
#include "image/plan.hpp"
#include "os/os.hpp"
#include "pe/builder.hpp"

namespace bobbin::image {
namespace {

namespace fs = std::filesystem;
using pe::test::Blob;
using pe::test::Builder;
using pe::test::kExecute;
using pe::test::kRead;
using pe::test::kWrite;

// Free in an ordinary process, and above what the address sanitizer keeps for its shadow.
constexpr std::uint64_t kBase = 0x2000'4000'0000;

class Image : public testing::Test {
 protected:
  void SetUp() override {
    options_.cache_folder = folder_ / "cache";
    options_.copy_below = 0;
  }
  void TearDown() override { os::fail_allocation(0); }

  fs::path write(const std::string& name, const std::vector<std::byte>& bytes) {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
    return path;
  }
  /// The cache takes no file that changed a moment ago.
  static void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(60)); }

  Result<Mapped> map(const fs::path& path) {
    auto file = FileBytes::open(path);
    if (!file) return propagate(file);
    auto parsed = pe::File::parse(file->bytes(), path);
    if (!parsed) return propagate(parsed);
    return map_image(*file, *parsed, space_, options_);
  }
  std::vector<fs::path> entries() const {
    std::vector<fs::path> found;
    if (!fs::exists(options_.cache_folder)) return found;
    for (const auto& entry : fs::directory_iterator(options_.cache_folder)) found.push_back(entry.path());
    return found;
  }
  std::uint32_t protection(const Mapped& image, std::uint32_t rva) const {
    return space_.query(image.base() + rva).protect;
  }

  const test::TestFolder own_;
  const fs::path& folder_ = own_.path();
  MapOptions options_;
  memory::AddressSpace space_;
};

/// .text with a pointer to .data, .data with zeros behind it, .rdata, .reloc.
std::vector<std::byte> sample(std::uint64_t base = kBase, std::uint32_t file_alignment = 512,
                              std::uint16_t characteristics = 0x2022) {
  Builder b;
  b.image_base = base;
  b.file_alignment = file_alignment;
  b.characteristics = characteristics;
  b.section(".text", kRead | kExecute, [&](Blob& blob) { blob.put(base + 0x2000); });
  b.section(".data", kRead | kWrite, [](Blob& blob) { blob.text("some data"); }, 0x20000);
  b.section(".rdata", kRead, [](Blob& blob) { blob.text("constants"); });
  b.section(".reloc", kRead, [&](Blob& blob) { b.relocations(blob, {{0x1000}}); });
  return b.build();
}
constexpr std::uint32_t kData = 0x2000, kConstants = 0x22000;

const char* text(const Mapped& image, std::uint32_t rva) {
  return reinterpret_cast<const char*>(image.at({rva}));
}
std::uint64_t word(const Mapped& image, std::uint32_t rva) {
  std::uint64_t value;
  std::memcpy(&value, image.at({rva}), sizeof value);
  return value;
}

/// What every way of mapping the sample must give.
void expect_sample(const Mapped& image) {
  EXPECT_EQ(std::string_view(text(image, 0), 2), "MZ");
  EXPECT_STREQ(text(image, kData), "some data");
  EXPECT_STREQ(text(image, kConstants), "constants");
  EXPECT_EQ(word(image, 0x1000), reinterpret_cast<std::uint64_t>(image.base()) + kData);
  for (std::uint32_t rva = kData + 16; rva < kData + 0x20000; rva += 8)
    ASSERT_EQ(word(image, rva), 0u) << rva;
}

TEST_F(Image, StandsAtItsPreferredBase) {
  const auto path = write("a.dll", sample());
  settle();
  const auto image = map(path);
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(image->base(), reinterpret_cast<std::byte*>(kBase));
  EXPECT_FALSE(image->relocated());
  EXPECT_TRUE(image->file_backed());
  expect_sample(*image);
}

TEST_F(Image, MovesWhenItsBaseIsTaken) {
  const auto path = write("a.dll", sample());
  settle();
  const auto first = map(path);
  ASSERT_TRUE(first);
  const auto second = map(path);
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_TRUE(second->relocated());
  expect_sample(*second);
  // The header in memory says where it stands, so that the image can be parsed where it is.
  const auto parsed = pe::File::parse({second->base(), second->size()}, "a.dll", pe::Layout::mapped);
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(parsed->header().image_base, reinterpret_cast<std::uint64_t>(second->base()));
  // The entry in the cache was not relocated with it.
  EXPECT_EQ(word(*first, 0x1000), kBase + kData);
}

TEST_F(Image, WithoutRelocationsItCannotMove) {
  const auto path = write("a.exe", sample(kBase, 512, 0x0023));
  const auto first = map(path);
  ASSERT_TRUE(first);
  const auto second = map(path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().status, abi::STATUS_CONFLICTING_ADDRESSES);
  EXPECT_EQ(space_.allocations(), 1u);
}

TEST_F(Image, AnImpossibleBaseIsRelocated) {
  for (const std::uint64_t base :
       {std::uint64_t{0}, std::uint64_t{0xFFFF'FFFF'FFFF'0000}, std::uint64_t{1} << 47}) {
    const auto image = map(write("a.dll", sample(base)));
    ASSERT_TRUE(image) << image.error().message();
    expect_sample(*image);
  }
}

TEST_F(Image, ProtectionsAreExact) {
  const auto path = write("a.dll", sample());
  auto image = map(path);
  ASSERT_TRUE(image);
  EXPECT_EQ(protection(*image, 0x1000), memory::kWriteCopy);  // staged: writable, not executable
  ASSERT_TRUE(image->protect());
  EXPECT_EQ(protection(*image, 0), memory::kReadOnly);
  EXPECT_EQ(protection(*image, 0x1000), memory::kExecuteRead);
  EXPECT_EQ(protection(*image, kData), memory::kWriteCopy);
  EXPECT_EQ(protection(*image, kConstants), memory::kReadOnly);
  EXPECT_EQ(space_.query(image->base()).type, memory::Type::image);
  EXPECT_EQ(space_.query(image->base()).allocation_protect, memory::kExecuteWriteCopy);
}

TEST_F(Image, MadeWritableUntilProtectedAgain) {
  auto image = map(write("a.dll", sample()));
  ASSERT_TRUE(image);
  ASSERT_TRUE(image->make_writable({kConstants}, 8));  // before protect(): all is
  ASSERT_TRUE(image->protect());
  ASSERT_TRUE(image->make_writable({kConstants + 4}, 8));
  *image->at({kConstants}) = std::byte{'C'};
  EXPECT_STREQ(text(*image, kConstants), "Constants");
  ASSERT_TRUE(image->make_writable({0x1FFF}, 2));  // across code and data
  EXPECT_EQ(protection(*image, 0x1000), memory::kExecuteWriteCopy);
  ASSERT_TRUE(image->protect());
  EXPECT_EQ(protection(*image, kConstants), memory::kReadOnly);
  EXPECT_EQ(protection(*image, 0x1000), memory::kExecuteRead);
  EXPECT_FALSE(image->make_writable({image->size()}, 1));
  EXPECT_FALSE(image->make_writable({0xFFFFFFFF}, 0xFFFFFFFF));
}

TEST_F(Image, EverySectionFlagHasItsProtection) {
  const std::pair<std::uint32_t, std::uint32_t> cases[] = {
      {0, memory::kNoAccess},
      {kRead, memory::kReadOnly},
      {kWrite, memory::kWriteCopy},
      {kRead | kWrite, memory::kWriteCopy},
      {kExecute, memory::kExecute},
      {kExecute | kRead, memory::kExecuteRead},
      {kExecute | kRead | kWrite, memory::kExecuteWriteCopy},
  };
  Builder b;
  for (const auto& [flags, protect] : cases) b.section("s", flags, [](Blob& blob) { blob.text("x"); });
  auto image = map(write("a.dll", b.build()));
  ASSERT_TRUE(image);
  ASSERT_TRUE(image->protect());
  for (std::uint32_t i = 0; i < std::size(cases); ++i) {
    EXPECT_EQ(protection(*image, (i + 1) * pe::kPageSize), cases[i].second) << cases[i].first;
  }
}

TEST_F(Image, DataFilesAreNeitherMovedNorRun) {
  options_.data_only = true;
  auto image = map(write("a.dll", sample()));
  ASSERT_TRUE(image);
  ASSERT_TRUE(image->protect());
  EXPECT_EQ(word(*image, 0x1000), kBase + kData);
  EXPECT_EQ(protection(*image, 0x1000), memory::kReadOnly);
}

TEST_F(Image, DestructionLeavesNothing) {
  {
    auto image = map(write("a.dll", sample()));
    ASSERT_TRUE(image);
    Mapped moved = std::move(*image);
    EXPECT_EQ(space_.allocations(), 1u);
  }
  EXPECT_EQ(space_.allocations(), 0u);
}

TEST_F(Image, EveryFailureLeavesNothing) {
  for (const std::uint32_t alignment : {512u, 4096u}) {
    for (const bool cached : {true, false}) {
      options_.copy_below = cached ? 0 : 0xFFFFFFFF;
      const auto path = write("a.dll", sample(std::uint64_t{1} << 47, alignment));
      settle();
      ASSERT_TRUE(map(path));  // fills the cache
      std::uint64_t nth = 1;
      for (;; ++nth) {
        os::fail_allocation(nth);
        auto image = map(path);
        const bool mapped = image && image->protect();
        os::fail_allocation(0);
        if (mapped) break;
        image = fail({});
        ASSERT_EQ(space_.allocations(), 0u) << "failure " << nth;
        ASSERT_LT(nth, 100u);
      }
      EXPECT_GT(nth, 4u);  // the loop has seen reserve, map, and several protects fail
    }
  }
}

TEST_F(Image, PageAlignedFilesAreMappedAsTheyAre) {
  const auto path = write("a.dll", sample(kBase, 4096));
  const auto image = map(path);
  ASSERT_TRUE(image);
  EXPECT_TRUE(image->file_backed());
  EXPECT_TRUE(entries().empty());
  expect_sample(*image);
}

TEST_F(Image, SmallFilesAreCopied) {
  options_.copy_below = 0x100000;
  const auto path = write("a.dll", sample());
  settle();
  const auto image = map(path);
  ASSERT_TRUE(image);
  EXPECT_FALSE(image->file_backed());
  EXPECT_TRUE(entries().empty());
  expect_sample(*image);
}

// ---- the cache
// ---------------------------------------------------------------------------------------------

TEST_F(Image, CacheHoldsOnePrivateEntryPerFile) {
  const auto path = write("a.dll", sample());
  settle();
  for (int i = 0; i < 3; ++i) {
    const auto image = map(path);
    ASSERT_TRUE(image);
    EXPECT_TRUE(image->file_backed());
    expect_sample(*image);
  }
  ASSERT_EQ(entries().size(), 1u);
  struct stat status{};
  ASSERT_EQ(stat(options_.cache_folder.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(entries()[0].c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(Image, CacheFolderIsMadeWithThoseAboveIt) {
  const auto path = write("a.dll", sample());
  settle();
  options_.cache_folder = folder_ / "home" / ".cache" / "images";
  ASSERT_TRUE(map(path)->file_backed());
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(Image, CacheWaitsUntilAFileHasSettled) {
  const auto path = write("a.dll", sample());
  fs::last_write_time(path, fs::file_time_type::clock::now() + std::chrono::milliseconds(-1));
  const auto image = map(path);
  ASSERT_TRUE(image);
  expect_sample(*image);  // cached or not (a slow machine may have let it settle)
}

TEST_F(Image, ChangedFilesAreNoticed) {
  const auto path = write("a.dll", sample());
  settle();
  ASSERT_TRUE(map(path)->file_backed());
  auto bytes = sample();
  const std::string_view old = "constants";
  const auto at = std::search(bytes.begin(), bytes.end(), reinterpret_cast<const std::byte*>(old.data()),
                              reinterpret_cast<const std::byte*>(old.data() + old.size()));
  *at = std::byte{'C'};
  write("a.dll", bytes);
  settle();
  const auto image = map(path);
  ASSERT_TRUE(image);
  EXPECT_STREQ(text(*image, kConstants), "Constants");
  EXPECT_TRUE(image->file_backed());
  EXPECT_EQ(entries().size(), 1u);  // the old entry was replaced
}

TEST_F(Image, DamagedEntriesAreReplaced) {
  const auto path = write("a.dll", sample());
  settle();
  ASSERT_TRUE(map(path)->file_backed());
  const fs::path entry = entries().at(0);
  const auto size = fs::file_size(entry);
  for (const std::uintmax_t cut : {std::uintmax_t{0}, std::uintmax_t{100}, size - 1}) {
    fs::resize_file(entry, cut);
    const auto image = map(path);
    ASSERT_TRUE(image);
    expect_sample(*image);
    EXPECT_EQ(fs::file_size(entry), size);
  }
  {
    std::fstream file(entry, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(size - pe::kPageSize));
    file << "garbage";
  }
  const auto image = map(path);
  ASSERT_TRUE(image);
  EXPECT_TRUE(image->file_backed());
  expect_sample(*image);
}

TEST_F(Image, EntriesFromBeforeTheLastStartAreCompared) {
  const auto path = write("a.dll", sample());
  settle();
  ASSERT_TRUE(map(path)->file_backed());
  const fs::path entry = entries().at(0);
  {
    std::fstream file(entry, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(kConstants);
    file << "destroyed";
  }
  fs::last_write_time(entry, fs::file_time_type::clock::now() - std::chrono::hours(24 * 3650));
  const auto image = map(path);
  ASSERT_TRUE(image);
  expect_sample(*image);
  // A good old one is taken, and is not compared again.
  fs::last_write_time(entry, fs::file_time_type::clock::now() - std::chrono::hours(24 * 3650));
  const auto inode = [&] {
    struct stat status{};
    stat(entry.c_str(), &status);
    return status.st_ino;
  };
  const auto before = inode();
  ASSERT_TRUE(map(path)->file_backed());
  EXPECT_EQ(inode(), before);
  EXPECT_GT(fs::last_write_time(entry), fs::file_time_type::clock::now() - std::chrono::hours(1));
}

TEST_F(Image, LinksInTheCacheAreNotFollowed) {
  const auto path = write("a.dll", sample());
  settle();
  ASSERT_TRUE(map(path)->file_backed());
  const fs::path entry = entries().at(0);
  const fs::path elsewhere = folder_ / "elsewhere";
  fs::rename(entry, elsewhere);
  fs::create_symlink(elsewhere, entry);
  const auto before = fs::last_write_time(elsewhere);
  const auto image = map(path);
  ASSERT_TRUE(image);
  expect_sample(*image);
  EXPECT_FALSE(fs::is_symlink(entry));  // replaced by an entry of ours
  EXPECT_EQ(fs::last_write_time(elsewhere), before);
}

TEST_F(Image, LinkedOrSharedFoldersAreNotUsed) {
  const auto path = write("a.dll", sample());
  settle();
  fs::create_directory(folder_ / "real");
  fs::create_symlink(folder_ / "real", options_.cache_folder);
  auto image = map(path);
  ASSERT_TRUE(image);
  EXPECT_FALSE(image->file_backed());
  expect_sample(*image);
  EXPECT_TRUE(fs::is_empty(folder_ / "real"));

  fs::remove(options_.cache_folder);
  fs::create_directory(options_.cache_folder);
  fs::permissions(options_.cache_folder, fs::perms::all);  // anybody may put files there
  image = fail({});
  image = map(path);
  ASSERT_TRUE(image);
  EXPECT_FALSE(image->file_backed());
}

TEST_F(Image, EntriesThatOthersMayWriteAreNotUsed) {
  const auto path = write("a.dll", sample());
  settle();
  ASSERT_TRUE(map(path)->file_backed());
  const fs::path entry = entries().at(0);
  fs::permissions(entry, fs::perms::group_write, fs::perm_options::add);
  ASSERT_TRUE(map(path)->file_backed());  // made anew
  EXPECT_EQ(fs::status(entry).permissions() & fs::perms::group_write, fs::perms::none);
}

TEST_F(Image, WithoutAUsableFolderItIsCopied) {
  const auto path = write("a.dll", sample());
  settle();
  // No folder, a file in its place, one that nobody can make (not even root).
  for (const std::string& folder : {std::string(), path.string(), std::string("/proc/bobbin/cache")}) {
    options_.cache_folder = folder;
    const auto image = map(path);
    ASSERT_TRUE(image) << folder;
    EXPECT_FALSE(image->file_backed());
    expect_sample(*image);
  }
}

TEST_F(Image, OnAFullDiskItIsCopied) {
  const auto path = write("a.dll", sample());
  settle();
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 4096, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const auto image = map(path);
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  ASSERT_TRUE(image);
  EXPECT_FALSE(image->file_backed());
  expect_sample(*image);
  EXPECT_TRUE(entries().empty());  // nothing half-written stays
}

TEST_F(Image, CacheKeepsToItsLimit) {
  const auto file = [&](int i) { return folder_ / (fmt::format("f{}.dll", i)); };
  for (int i = 0; i < 6; ++i) write(file(i).filename(), sample());
  settle();
  options_.cache_limit = 0x50000;  // an entry's size is below it, its few blocks are a tenth of it
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(map(file(i))->file_backed());
  std::uint64_t blocks = 0;
  for (const auto& entry : entries()) {
    struct stat status{};
    ASSERT_EQ(stat(entry.c_str(), &status), 0);
    blocks = static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  ASSERT_GT(blocks, 0u);
  options_.cache_limit = std::max<std::uint64_t>(0x30000, blocks * 2);
  const std::size_t room = options_.cache_limit / blocks;
  for (int i = 3; i < 6; ++i) ASSERT_TRUE(map(file(i))->file_backed());
  EXPECT_LE(entries().size(), room);
  options_.cache_limit = 0x1000;  // smaller than any entry: none is made
  write("big.dll", sample());
  settle();
  EXPECT_FALSE(map(folder_ / "big.dll")->file_backed());
}

TEST_F(Image, AbandonedEntriesAreRemoved) {
  const auto path = write("a.dll", sample());
  settle();
  ASSERT_TRUE(map(path)->file_backed());
  const fs::path abandoned = fs::path(options_.cache_folder) / ".new-1-1";
  std::ofstream(abandoned) << "half";
  const timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 0}, {.tv_sec = 1000, .tv_nsec = 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, abandoned.c_str(), times, 0), 0);
  const auto other = write("b.dll", sample());
  settle();
  ASSERT_TRUE(map(other)->file_backed());
  EXPECT_FALSE(fs::exists(abandoned));
  EXPECT_EQ(entries().size(), 2u);
}

TEST_F(Image, ThreadsAndProcessesShareACache) {
  std::vector<fs::path> paths;
  for (int i = 0; i < 4; ++i)
    paths.push_back(write(fmt::format("f{}.dll", i), sample(std::uint64_t{1} << 47)));
  settle();
  const auto work = [&] {
    for (int round = 0; round < 25; ++round) {
      for (const auto& path : paths) {
        const auto image = map(path);
        if (!image || std::strcmp(text(*image, kConstants), "constants") != 0) return false;
        // Others lose entries meanwhile, as if they were evicted.
        if (round % 7 == 0) {
          std::error_code ignored;
          for (const auto& entry : fs::directory_iterator(options_.cache_folder, ignored)) {
            if (entry.path().extension() == ".image") fs::remove(entry.path(), ignored);
          }
        }
      }
    }
    return true;
  };
  std::vector<pid_t> children;
  for (int i = 0; i < 2; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(work() ? 0 : 1);
    children.push_back(child);
  }
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back([&] { good += work(); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 2);
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  EXPECT_EQ(space_.allocations(), 0u);
}

// ---- files
// -------------------------------------------------------------------------------------------------

TEST_F(Image, FilesThatCannotBeReadAreErrors) {
  const auto missing = FileBytes::open(folder_ / "none.dll");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_NE(missing.error().message().find("none.dll"), std::string::npos);
  const auto folder = FileBytes::open(folder_);
  ASSERT_FALSE(folder);
  EXPECT_NE(folder.error().message().find("is a folder"), std::string::npos);
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_FALSE(FileBytes::open(pipe));  // and does not wait for a writer
  const auto empty = FileBytes::open(write("empty", {}));
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->bytes().empty());
}

// ---- the plan
// ----------------------------------------------------------------------------------------------

TEST(Plan, LongZerosAreNotMappedFromTheEntry) {
  const auto bytes = sample();
  const auto parsed = pe::File::parse(bytes, "a.dll").value();
  const auto ranges = laid_out_ranges(parsed);
  ASSERT_EQ(ranges.size(), 2u);  // up to the data; behind the zeros
  EXPECT_EQ(ranges[0].rva, 0u);
  EXPECT_EQ(ranges[0].size, 0x3000u);
  EXPECT_EQ(ranges[1].rva, kConstants);
}

TEST(Plan, EqualNeighboursShareAProtection) {
  Builder b;
  for (int i = 0; i < 3; ++i) b.section("r", kRead, [](Blob& blob) { blob.text("x"); });
  b.section("w", kRead | kWrite, [](Blob& blob) { blob.text("x"); });
  const auto bytes = b.build();
  const auto ranges = final_protections(pe::File::parse(bytes, "a.dll").value(), false);
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].end, 0x4000u);
  EXPECT_EQ(ranges[1].end, 0x5000u);
}

TEST(Plan, GapsAreClosed) {
  Builder b;
  b.section("a", kRead, [](Blob& blob) { blob.text("x"); });
  b.section("b", kRead, [](Blob& blob) { blob.text("x"); });
  auto bytes = b.build();
  pe::test::poke(bytes,
                 pe::test::kSectionsOffset + sizeof(pe::SectionHeader) + offsetof(pe::SectionHeader, rva),
                 0x5000u);
  pe::test::poke(bytes, pe::test::kOptionalOffset + offsetof(pe::OptionalHeader, image_size), 0x8000u);
  const auto ranges = final_protections(pe::File::parse(bytes, "a.dll").value(), false);
  ASSERT_EQ(ranges.size(), 4u);
  EXPECT_EQ(ranges[1].protect, memory::kNoAccess);
  EXPECT_EQ(ranges[1].begin, 0x2000u);
  EXPECT_EQ(ranges[1].end, 0x5000u);
  EXPECT_EQ(ranges[3].protect, memory::kNoAccess);  // what SizeOfImage adds
}

}  // namespace
}  // namespace bobbin::image
