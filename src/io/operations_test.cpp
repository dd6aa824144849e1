#include "io/operations.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>

#include "abi/status.hpp"
#include "io/file.hpp"

namespace bobbin::io {
namespace {

constexpr os::Deadline kPoll = 0;
constexpr os::Deadline kForever = std::nullopt;

/// Both ends of an overlapped pipe of bytes.
struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    reader = sync::Ref<File>::adopt(new File(
        os::Descriptor(ends[0]),
        {.kind = FileKind::pipe, .access = abi::FILE_READ_DATA, .flags = abi::FILE_FLAG_OVERLAPPED}));
    writer = os::Descriptor(ends[1]);
  }
  void write(std::string_view text) const {
    EXPECT_EQ(::write(writer.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  sync::Ref<File> reader;
  os::Descriptor writer;
};

/// One read, as a guest asks for it with an OVERLAPPED.
struct Read {
  std::array<char, 4> bytes{};
  abi::IO_STATUS_BLOCK block{};
  sync::Ref<sync::Event> event = sync::Ref<sync::Event>::adopt(new sync::Event(true, false));

  Operation operation(File& file, sync::Waiter* thread = nullptr) {
    return {.kind = Operation::Kind::read,
            .fd = file.fd(),
            .attempt = [this, &file] { return file.try_read(std::as_writable_bytes(std::span(bytes))); },
            .asker = {.block = &block, .context = this, .event = event, .thread = thread}};
  }
  [[nodiscard]] std::uint32_t status() const { return static_cast<std::uint32_t>(block.Status); }
  [[nodiscard]] std::string_view text() const { return {bytes.data(), block.Information}; }
  /// Once it has ended.
  std::uint32_t await() {
    sync::Waiter self;
    EXPECT_EQ(sync::wait(*event, kForever, self).kind, sync::WaitOutcome::Kind::satisfied);
    return status();
  }
  [[nodiscard]] bool ended() const {
    sync::Waiter self;
    return sync::wait(*event, kPoll, self).kind == sync::WaitOutcome::Kind::satisfied;
  }
};

TEST(Operations, EndAtOnceWhereNothingIsToBeWaitedFor) {
  Operations operations;
  const Pipe pipe;
  pipe.write("abc");
  Read read;
  const auto outcome = operations.begin(*pipe.reader, read.operation(*pipe.reader));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->status, abi::STATUS_SUCCESS);
  EXPECT_EQ(outcome->transferred, 3U);
  EXPECT_EQ(read.await(), abi::STATUS_SUCCESS);
  EXPECT_EQ(read.text(), "abc");
}

TEST(Operations, OfOneKindAreCarriedOutInTheirOrder) {
  Operations operations;
  const Pipe pipe;
  std::array<Read, 3> reads;
  for (Read& read : reads) EXPECT_FALSE(operations.begin(*pipe.reader, read.operation(*pipe.reader)));
  EXPECT_EQ(reads[0].status(), abi::STATUS_PENDING);
  EXPECT_FALSE(reads[0].ended());
  pipe.write("1234567");
  EXPECT_EQ(reads[0].await(), abi::STATUS_SUCCESS);
  EXPECT_EQ(reads[1].await(), abi::STATUS_SUCCESS);
  EXPECT_EQ(reads[0].text(), "1234");
  EXPECT_EQ(reads[1].text(), "567");
  EXPECT_FALSE(reads[2].ended());
  pipe.write("8");
  EXPECT_EQ(reads[2].await(), abi::STATUS_SUCCESS);
  EXPECT_EQ(reads[2].text(), "8");
}

TEST(Operations, AreCancelledOneByOneOrAll) {
  Operations operations;
  const Pipe pipe;
  sync::Waiter thread, other;
  std::array<Read, 3> reads;
  for (Read& read : reads)
    EXPECT_FALSE(operations.begin(*pipe.reader, read.operation(*pipe.reader, &thread)));
  EXPECT_FALSE(operations.cancel(*pipe.reader, nullptr, &other));
  EXPECT_TRUE(operations.cancel(*pipe.reader, &reads[1].block, nullptr));
  EXPECT_EQ(reads[1].await(), abi::STATUS_CANCELLED);
  EXPECT_FALSE(reads[0].ended());
  EXPECT_TRUE(operations.cancel(*pipe.reader, nullptr, &thread));
  EXPECT_EQ(reads[0].await(), abi::STATUS_CANCELLED);
  EXPECT_EQ(reads[2].await(), abi::STATUS_CANCELLED);
  EXPECT_FALSE(operations.cancel(*pipe.reader, nullptr, nullptr));
}

TEST(Operations, GoWithTheirThreadUnlessAPortIsTold) {
  Operations operations;
  Pipe plain, ported;
  const auto port = sync::Ref<sync::CompletionPort>::adopt(new sync::CompletionPort);
  ASSERT_TRUE(ported.reader->associate(port, 7));
  sync::Waiter thread;
  Read goes, stays;
  EXPECT_FALSE(operations.begin(*plain.reader, goes.operation(*plain.reader, &thread)));
  EXPECT_FALSE(operations.begin(*ported.reader, stays.operation(*ported.reader, &thread)));
  ASSERT_EQ(thread.used_by.load(), &operations);
  thread.used_by.load()->waiter_ended(thread);
  EXPECT_EQ(goes.await(), abi::STATUS_CANCELLED);
  ported.write("x");
  EXPECT_EQ(stays.await(), abi::STATUS_SUCCESS);
  sync::Waiter self;
  std::array<sync::Packet, 1> packets;
  ASSERT_EQ(port->take(packets, kForever, self, false).count, 1U);
  EXPECT_EQ(packets[0].key, 7U);
  EXPECT_EQ(packets[0].overlapped, &stays);
}

TEST(Operations, GoWithTheirFile) {
  Operations operations;
  Pipe pipe;
  Read read;
  EXPECT_FALSE(operations.begin(*pipe.reader, read.operation(*pipe.reader)));
  pipe.reader = {};
  EXPECT_EQ(read.await(), abi::STATUS_CANCELLED);
}

// The host keeps open what is being polled.
TEST(Operations, LetGoOfTheDescriptorWithTheFile) {
  constexpr int kLongMilliseconds = 60'000;
  Operations operations;
  const Pipe other;
  for (int round = 0; round < 20; ++round) {
    Pipe pipe;
    Read read, told;
    EXPECT_FALSE(operations.begin(*pipe.reader, read.operation(*pipe.reader)));
    EXPECT_FALSE(operations.begin(*other.reader, told.operation(*other.reader)));
    other.write("x");
    EXPECT_EQ(told.await(), abi::STATUS_SUCCESS);  // now all that waits is polled, or will be
    std::this_thread::yield();
    pipe.reader = {};
    ASSERT_TRUE(readable_now(pipe.writer.get(), kLongMilliseconds));
    char none = 0;
    EXPECT_EQ(::read(pipe.writer.get(), &none, 1), 0);
  }
}

TEST(Operations, EndThoughTheBlockIsGone) {
  Operations operations;
  const Pipe pipe;
  Read read;
  void* const page = mmap(nullptr, os::kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  Operation operation = read.operation(*pipe.reader);
  operation.asker.block = static_cast<abi::IO_STATUS_BLOCK*>(page);
  EXPECT_FALSE(operations.begin(*pipe.reader, std::move(operation)));
  munmap(page, os::kPageSize);
  pipe.write("abc");
  read.await();
  EXPECT_STREQ(read.bytes.data(), "abc");
}

// Whoever begins, cancels, feeds and closes at the same time: each operation ends once, no byte is lost.
TEST(Operations, EndOnceWhateverHappensAtTheSameTime) {
  constexpr int kThreads = 3, kReads = 200;
  Operations operations;
  const Pipe pipe;
  std::atomic<int> left = kThreads;
  std::atomic<std::size_t> received = 0;
  std::array<std::thread, kThreads> readers;
  for (auto& reader : readers) {
    reader = std::thread([&] {
      for (int i = 0; i < kReads; ++i) {
        const Pipe own;
        Read shared, alone;
        (void)operations.begin(*pipe.reader, shared.operation(*pipe.reader));
        (void)operations.begin(*own.reader, alone.operation(*own.reader));
        own.write("y");
        if (i % 3 == 0) (void)operations.cancel(*pipe.reader, &shared.block, nullptr);
        EXPECT_EQ(alone.await(), abi::STATUS_SUCCESS);
        const std::uint32_t status = shared.await();
        EXPECT_TRUE(status == abi::STATUS_SUCCESS || status == abi::STATUS_CANCELLED) << status;
        received += shared.block.Information;
      }
      --left;
    });
  }
  std::size_t sent = 0;
  while (left.load() != 0) {
    if (::write(pipe.writer.get(), "z", 1) == 1) ++sent;
    std::this_thread::yield();
  }
  for (auto& reader : readers) reader.join();
  const auto waiting = pipe.reader->available();
  ASSERT_TRUE(waiting);
  EXPECT_EQ(received + *waiting, sent);
}

}  // namespace
}  // namespace bobbin::io
