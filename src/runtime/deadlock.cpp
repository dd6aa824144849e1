// What is said when threads of the guest wait for each other. All of them stand still, so what they hold and
// where they are can be read without their locks.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "runtime/state.hpp"

namespace bobbin::detail {
namespace {

using sync::Awaited;

constexpr std::uint32_t kDeadlockExitCode = 3;

/// Says in words what the rooms below have found.
class Report {
 public:
  Report(State& state, const sync::Deadlock& deadlock) : state_(state), found_(deadlock) {}

  Deadlock write() {
    Deadlock deadlock;
    for (std::size_t i = 0; i < found_.members.size(); ++i) deadlock.members.push_back(describe(i));
    deadlock.rule = rule();
    deadlock.text = picture(deadlock);
    return deadlock;
  }

 private:
  using Found = sync::Deadlock::Member;

  [[nodiscard]] const Found& after(std::size_t i) const {
    return found_.members[(i + 1) % found_.members.size()];
  }
  [[nodiscard]] bool is_loader_lock(const Awaited& thing) const {
    return thing.address == &state_.loader_lock;
  }
  [[nodiscard]] bool holds_loader_lock(const Found& member) const {
    return std::ranges::any_of(member.holds, [&](const Awaited& thing) { return is_loader_lock(thing); });
  }

  [[nodiscard]] std::string with_handle(const char* what, const void* object) const {
    const sync::Handle handle = state_.handles.handle_of(object);
    return handle != 0 ? fmt::format("{} (handle {:#x})", what, handle) : std::string(what);
  }

  [[nodiscard]] std::string name(const Awaited& thing) const {
    if (is_loader_lock(thing)) return "the loader lock";
    switch (thing.kind) {
      case Awaited::Kind::section:
        return "critical section " + state_.loader->describe_address(thing.address);
      case Awaited::Kind::exclusive:
      case Awaited::Kind::shared:
        return "SRW lock " + state_.loader->describe_address(thing.address);
      case Awaited::Kind::mutex:
        return with_handle("a mutex", thing.address);
      case Awaited::Kind::thread:
        return "a thread";
      case Awaited::Kind::event:
        return with_handle("an event", thing.address);
      case Awaited::Kind::semaphore:
        return with_handle("a semaphore", thing.address);
      case Awaited::Kind::fls_index:
      case Awaited::Kind::fls_callbacks:
        return fls_index(thing);
    }
    return {};
  }

  [[nodiscard]] std::string fls_index(const Awaited& thing) const {
    const tls::Fls& fls = state_.engine->fls();
    const std::uint32_t index = fls.index_of(thing.address);
    return fmt::format("FLS index {} (callback {})", index,
                       state_.loader->describe_address(fls.callback_of(index)));
  }
  [[nodiscard]] std::string held(const Awaited& thing) const {
    if (thing.kind == Awaited::Kind::fls_index) return name(thing) + ", which it frees";
    if (thing.kind == Awaited::Kind::fls_callbacks) return name(thing) + ", in its callback";
    return name(thing);
  }

  [[nodiscard]] std::string wait_of(std::size_t i) const {
    const Found& member = found_.members[i];
    std::string text;
    switch (member.waits_for.kind) {
      case Awaited::Kind::thread:
        text = fmt::format("thread {} to end", after(i).thread_id);
        break;
      case Awaited::Kind::event:
      case Awaited::Kind::semaphore:
        text = name(member.waits_for) + ", which nobody is left to set";
        break;
      case Awaited::Kind::shared:
        text = name(member.waits_for) + ", to read";
        break;
      case Awaited::Kind::exclusive:
        text = name(member.waits_for) + ", to write";
        break;
      case Awaited::Kind::fls_index:
        text = name(member.waits_for) + ", to be freed";
        break;
      case Awaited::Kind::fls_callbacks:
        text = name(member.waits_for) + ", to free it";
        break;
      default:
        text = name(member.waits_for);
    }
    if (is_loader_lock(member.waits_for)) text += purpose(member);
    if (member.also == sync::Deadlock::Also::all) text += ", and for others with it";
    if (member.also == sync::Deadlock::Also::any) text += ", or for others that cannot come either";
    return text;
  }

  enum class Phase : std::uint8_t { birth, life, death };
  [[nodiscard]] Phase phase_of(const Found& member) const {
    const auto thread = state_.threads->find(member.thread_id);
    const abi::TEB* teb = thread ? thread->teb_or_null() : nullptr;
    if (teb == nullptr) return Phase::life;
    if (teb->ThreadLocalStoragePointer == nullptr) return Phase::birth;
    return thread->is_ending() ? Phase::death : Phase::life;
  }

  /// What a thread needs the loader lock for.
  [[nodiscard]] std::string purpose(const Found& member) const {
    switch (phase_of(member)) {
      case Phase::birth:
        return ", to start";
      case Phase::death:
        return ", to end";
      default:
        return {};
    }
  }

  [[nodiscard]] std::string place_of(const Found& member) const {
    const auto thread = state_.threads->find(member.thread_id);
    if (!thread) return "nowhere";
    if (is_loader_lock(member.waits_for) && phase_of(member) == Phase::birth) {
      return "the start of " +
             state_.loader->describe_address(reinterpret_cast<const void*>(thread->start_address()));
    }
    if (is_loader_lock(member.waits_for) && phase_of(member) == Phase::death) return "THREAD_DETACH";
    if (thread->guest_rip == 0) return "its end";  // no guest code is left on its stack
    return state_.loader->describe_address(reinterpret_cast<const void*>(thread->guest_rip));
  }

  [[nodiscard]] Deadlock::Member describe(std::size_t i) const {
    const Found& member = found_.members[i];
    Deadlock::Member said{
        .thread = member.thread_id, .holds = {}, .waits_for = wait_of(i), .where = place_of(member)};
    for (const Awaited& thing : member.holds) {
      said.holds.push_back(held(thing));
      if (is_loader_lock(thing)) {
        if (const auto notice = state_.loader->describe_notice(); !notice.empty()) {
          said.holds.back() += ", in " + notice;
        }
      }
    }
    return said;
  }

  [[nodiscard]] std::string rule() const {
    const auto& members = found_.members;
    if (members.size() == 1) return rule_of_one(members[0].waits_for.kind);
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (holds_loader_lock(members[i])) return rule_of_loader_lock(i);
    }
    const auto joins = [](const Found& member) { return member.waits_for.kind == Awaited::Kind::thread; };
    if (std::ranges::all_of(members, joins)) return "threads wait for each other's end";
    const auto frees = [](const Found& member) {
      return member.waits_for.kind == Awaited::Kind::fls_callbacks;
    };
    if (const auto at = std::ranges::find_if(members, frees); at != members.end()) {
      return fmt::format(
          "thread {} frees an FLS index, which waits for callbacks under way, while it holds what one of "
          "them needs",
          at->thread_id);
    }
    if (const auto at = std::ranges::find_if(members, joins); at != members.end()) {
      return fmt::format("thread {} waits for a thread while it holds what that one needs to come to its end",
                         at->thread_id);
    }
    return "locks that are held together are to be acquired by all threads in the same order";
  }

  [[nodiscard]] static std::string rule_of_one(Awaited::Kind kind) {
    switch (kind) {
      case Awaited::Kind::thread:
        return "a thread waits for its own end";
      case Awaited::Kind::fls_index:
      case Awaited::Kind::fls_callbacks:
        return "an FLS index is locked while its callback runs: the callback must not free it";
      default:
        return "an SRW lock is not recursive: a thread that has it must not acquire it again";
    }
  }

  [[nodiscard]] std::string rule_of_loader_lock(std::size_t i) const {
    const Found& owner = found_.members[i];
    std::string what;
    switch (owner.waits_for.kind) {
      case Awaited::Kind::thread:
        what = "waits for a thread";
        break;
      case Awaited::Kind::event:
      case Awaited::Kind::semaphore:
        what = "waits for what another thread is to do";
        break;
      case Awaited::Kind::fls_callbacks:
        what = "frees an FLS index, which waits for callbacks under way,";
        break;
      default:
        what = "waits for a lock";
    }
    std::string text = fmt::format("thread {} {} while it holds the loader lock", owner.thread_id, what);
    if (const auto notice = state_.loader->describe_notice(); !notice.empty()) text += ", in " + notice;
    for (const Found& other : found_.members) {
      if (!is_loader_lock(other.waits_for)) continue;
      constexpr const char* kNeeds[] = {"to start", "to load, free or find a module", "to end"};
      text += fmt::format("; thread {} needs that lock {}", other.thread_id,
                          kNeeds[static_cast<std::size_t>(phase_of(other))]);
    }
    return text;
  }

  [[nodiscard]] std::string picture(const Deadlock& deadlock) const {
    std::string text =
        deadlock.members.size() == 1
            ? std::string("deadlock: a thread waits for itself\n")
            : fmt::format("deadlock: {} threads wait for each other\n", deadlock.members.size());
    text += "\n";
    for (std::size_t i = 0; i < deadlock.members.size(); ++i) {
      const Deadlock::Member& member = deadlock.members[i];
      if (i != 0) text += "  |       |\n  |       v\n";
      text += fmt::format("  {} thread {}\n", i == 0 ? "+->" : "|  ", member.thread);
      if (member.holds.empty()) text += "  |     holds      nothing that is known\n";
      for (std::size_t n = 0; n < member.holds.size(); ++n) {
        text += fmt::format("  |     {:9}  {}\n", n == 0 ? "holds" : "and", member.holds[n]);
      }
      text += fmt::format("  |     waits for  {}\n  |     at         {}\n", member.waits_for, member.where);
    }
    text += "  |       |\n  +-------+\n";
    text += fmt::format("\n  rule: {}\n", deadlock.rule);
    return text;
  }

  State& state_;
  const sync::Deadlock& found_;
};

}  // namespace

void State::report(const sync::Deadlock& found) {
  const Deadlock deadlock = Report(*this, found).write();
  std::fprintf(stderr, "bobbin: %s", deadlock.text.c_str());
  if (options.on_deadlock) options.on_deadlock(deadlock);
  if (!options.deadlock_ends_guest) return;
  loader->terminate_process(kDeadlockExitCode);
  sync::interrupt(thread::current_waiter());  // in a library: this thread leaves its wait, as the others do
}

}  // namespace bobbin::detail
