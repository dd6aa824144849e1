#include "tls/threads.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include "abi/status.hpp"

namespace bobbin::tls {
namespace {

constexpr std::size_t kRecordsPerSlab = 64;
constexpr std::size_t kSlabSize = kRecordsPerSlab * kRecordStride;
constexpr std::size_t kMostThreads = 1u
                                     << 20;  // the host's own limit on threads is below this (PID_MAX: 4 Mi)

void zero(ThreadRecord& record) noexcept {
  auto* const start = reinterpret_cast<std::byte*>(&record);
  const auto zero_up_to = [start](std::size_t from, std::size_t to) {
    if (from < to) std::memset(start + from, 0, to - from);
  };
  zero_up_to(0, sizeof record.teb);
  zero_up_to(kBlocksBegin, std::min<std::size_t>(record.blocks_end, kVectorBegin));
  zero_up_to(kVectorEnd, record.blocks_end);
  if (record.entries != 0)
    zero_up_to(kVectorBegin, kVectorBegin + sizeof(VectorHeader) + record.entries * sizeof(void*));
  record.blocks_end = 0;
  record.entries = 0;
}

}  // namespace

Result<std::unique_ptr<Threads>> Threads::create() {
  std::unique_ptr<Threads> threads(new Threads);
  auto list = ReservedArray<ThreadRecord*>::create(kMostThreads);
  if (!list) return propagate(list);
  auto slabs = ReservedArray<std::byte*>::create(kMostThreads / kRecordsPerSlab);
  if (!slabs) return propagate(slabs);
  threads->list_ = std::move(*list);
  threads->slabs_ = std::move(*slabs);
  return threads;
}

Threads::~Threads() {
  for (std::size_t i = 0; i < made_; i += kRecordsPerSlab)
    os::release(slabs_[i / kRecordsPerSlab], kSlabSize);
}

ThreadRecord* Threads::made(std::size_t i) const {
  return reinterpret_cast<ThreadRecord*>(slabs_[i / kRecordsPerSlab] + i % kRecordsPerSlab * kRecordStride +
                                         i % kRecordShifts * kRecordAlignment);
}

Result<ThreadRecord*> Threads::make() {
  if (made_ == kMostThreads) {
    return fail({.kind = ErrorKind::out_of_memory,
                 .status = abi::STATUS_NO_MEMORY,
                 .what = "a process has at most 1048576 threads"});
  }
  if (made_ % kRecordsPerSlab == 0) {
    auto slab = os::reserve(kSlabSize);
    if (!slab) return propagate(slab);
    if (auto done = os::commit(*slab, kSlabSize, os::Protection::read_write); !done) {
      os::release(*slab, kSlabSize);
      return propagate(done);
    }
    os::use_sparsely(*slab, kSlabSize);  // Debian's kernels would spend 2 MiB on the first thread
    slabs_[made_ / kRecordsPerSlab] = *slab;
  }
  return made(made_++);
}

Result<ThreadRecord*> Threads::take() {
  const std::scoped_lock guard(lock_);
  ThreadRecord* record = free_;
  if (record != nullptr) {
    free_ = record->next;
  } else {
    auto fresh = make();
    if (!fresh) return fresh;
    record = *fresh;
  }
  record->position = static_cast<std::uint32_t>(count_);
  list_[count_++] = record;
  return record;
}

void Threads::give_back(ThreadRecord& record) noexcept {
  {
    const std::scoped_lock guard(lock_);
    ThreadRecord* const last = list_[--count_];
    list_[record.position] = last;
    last->position = record.position;
  }
  zero(record);
  const std::scoped_lock guard(lock_);
  record.next = free_;
  free_ = &record;
}

}  // namespace bobbin::tls
