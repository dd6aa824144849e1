#include "sync/deadlock.hpp"

#include <algorithm>
#include <new>
#include <optional>
#include <unordered_map>

#include "sync/critical_section.hpp"
#include "sync/wait.hpp"

namespace bobbin::sync {
namespace {

constinit std::atomic<DeadlockHandler> g_handler{nullptr};
constinit const abi::RTL_CRITICAL_SECTION* g_gate = nullptr;  ///< guarded by the dispatcher lock
constinit Waiter* g_known = nullptr;                          ///< guarded by the dispatcher lock

Waiter* find(std::uint32_t thread_id) {
  if (thread_id == 0) return nullptr;
  Waiter* waiter = g_known;
  while (waiter != nullptr && waiter->thread_id != thread_id) waiter = waiter->next_known;
  return waiter;
}

constexpr std::size_t kNone = ~std::size_t{0};

}  // namespace

/// The part of the graph that can be reached from one thread. Lives under the dispatcher lock.
struct WaitGraph {
  /// One thing that a thread waits for, and who could bring it.
  struct Need {
    Awaited thing;
    bool open = false;                  ///< may come, as far as we know
    bool from_anyone = false;           ///< any other thread can bring it
    std::vector<std::size_t> enders{};  ///< the threads that can
  };
  struct Node {
    Waiter* who;
    std::uint32_t wait = 0;  ///< Waiter::waits as it was read
    bool stuck = false;
    bool all = false;  ///< it needs all that it waits for, not one of it
    std::vector<Need> needs{};
    const LockKind* kind = nullptr;  ///< of the guest's lock that it is parked at, if it is
  };

  std::vector<Node> nodes;
  std::unordered_map<const Waiter*, std::size_t> index;
  bool believe_in_anyone = false;

  explicit WaitGraph(Waiter& self, bool anyone) : believe_in_anyone(anyone) {
    add(&self);
    for (std::size_t i = 0; i < nodes.size(); ++i) read(i);  // grows as it goes
    settle();
  }

  std::size_t add(Waiter* who) {
    const auto [at, fresh] = index.try_emplace(who, nodes.size());
    if (fresh) nodes.push_back({.who = who});
    return at->second;
  }

  void read(std::size_t i) {
    Waiter& who = *nodes[i].who;
    const std::uint32_t wait = who.waits.load();
    nodes[i].wait = wait;
    if ((wait & 1) == 0 || who.interrupted.load()) return;
    if (who.waiting != nullptr) {
      read_objects(i, *who.waiting);
    } else if (const LockKind* kind = who.parked_for.load(); kind != nullptr) {
      const void* lock = who.parked_at.load();
      if (who.waits.load() != wait) return;  // another wait, or none
      std::vector<Need> needs;
      for (const std::uint32_t id : owners_of(*kind, lock)) {
        if (Waiter* owner = find(id)) needs.push_back({.thing = {kind->kind, lock}, .enders = {add(owner)}});
      }
      if (needs.empty()) return;
      nodes[i].stuck = nodes[i].all = true;
      nodes[i].needs = std::move(needs);
      nodes[i].kind = kind;
    }
  }

  static std::vector<std::uint32_t> owners_of(const LockKind& kind, const void* lock) {
    std::vector<std::uint32_t> ids;
    kind.add_owners(kind, lock, ids);
    return ids;
  }

  void read_objects(std::size_t i, const Wait& wait) {
    if (wait.deadline || wait.alertable) return;
    std::vector<Need> needs;
    for (Waitable* object : wait.objects) {
      Need need{.thing = {thing_of(*object), object}};
      Waiter* owner = object->owner();
      need.from_anyone = object->kind() == Kind::event || object->kind() == Kind::semaphore;
      if (owner != nullptr) {
        need.enders.push_back(add(owner));
      } else if (need.from_anyone && believe_in_anyone) {
        for (Waiter* other = g_known; other != nullptr; other = other->next_known) {
          if (other != nodes[i].who) need.enders.push_back(add(other));
        }
      } else {
        need.open = true;
      }
      if (object->signalled(*nodes[i].who) || object->expected()) need.open = true;
      needs.push_back(std::move(need));
    }
    nodes[i].stuck = true;
    nodes[i].all = wait.all;
    nodes[i].needs = std::move(needs);
  }

  static Awaited::Kind thing_of(const Waitable& object) {
    switch (object.kind()) {
      case Kind::mutex:
        return Awaited::Kind::mutex;
      case Kind::thread:
        return Awaited::Kind::thread;
      case Kind::semaphore:
        return Awaited::Kind::semaphore;
      default:
        return Awaited::Kind::event;
    }
  }

  [[nodiscard]] bool can_come(const Need& need) const {
    return need.open || std::ranges::any_of(need.enders, [&](std::size_t e) { return !nodes[e].stuck; });
  }

  /// Takes those out who can go on, until nobody is left who can.
  void settle() {
    for (bool changed = true; changed;) {
      changed = false;
      for (Node& node : nodes) {
        if (!node.stuck) continue;
        const auto comes = [&](const Need& need) { return can_come(need); };
        // With nothing to wait for it sleeps for ever.
        const bool goes_on = node.needs.empty() ? false
                             : node.all         ? std::ranges::all_of(node.needs, comes)
                                                : std::ranges::any_of(node.needs, comes);
        if (goes_on) {
          node.stuck = false;
          changed = true;
        }
      }
    }
  }

  [[nodiscard]] bool is_stuck(const Waiter* who) const {
    const auto at = index.find(who);
    return at != index.end() && nodes[at->second].stuck;
  }

  /// Whether it is true of one instant: the owners that make a thread stuck still are owners, and then every
  /// thread that is stuck is still in the wait that was read. (An owner that was read before its own wait may
  /// have let go in between.)
  [[nodiscard]] bool is_of_one_instant() const {
    const auto is_owned = [this](const Node& node) {
      if (!node.stuck || node.kind == nullptr) return true;
      const std::vector<std::uint32_t> ids = owners_of(*node.kind, node.needs.front().thing.address);
      return std::ranges::all_of(node.needs, [&](const Need& need) {
        return can_come(need) ||
               std::ranges::find(ids, nodes[need.enders.front()].who->thread_id) != ids.end();
      });
    };
    const auto waits = [](const Node& node) {
      return !node.stuck || (node.who->waits.load() == node.wait && !node.who->interrupted.load());
    };
    return std::ranges::all_of(nodes, is_owned) && std::ranges::all_of(nodes, waits);
  }

  struct Step {
    std::size_t node;
    std::size_t need;  ///< of that node: what leads to the next step
  };

  /// The shortest way from `start` back to it, or nothing.
  [[nodiscard]] std::vector<Step> circle_through(std::size_t start) const {
    std::vector<Step> came(nodes.size(), {kNone, 0});
    std::vector<std::size_t> queue{start};
    for (std::size_t head = 0; head < queue.size(); ++head) {
      const Node& node = nodes[queue[head]];
      for (std::size_t n = 0; n < node.needs.size(); ++n) {
        if (can_come(node.needs[n])) continue;
        for (const std::size_t next : node.needs[n].enders) {
          if (came[next].node != kNone) continue;
          came[next] = {queue[head], n};
          if (next == start) return way_back(came, start);
          queue.push_back(next);
        }
      }
    }
    return {};
  }

  static std::vector<Step> way_back(const std::vector<Step>& came, std::size_t start) {
    std::vector<Step> circle;
    std::size_t at = start;
    do {
      circle.push_back(came[at]);
      at = came[at].node;
    } while (at != start);
    std::ranges::reverse(circle);
    return circle;
  }

  [[nodiscard]] std::vector<Step> some_circle() const {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (!nodes[i].stuck) continue;
      if (auto circle = circle_through(i); !circle.empty()) return circle;
    }
    return {};
  }

  /// Of what can be known of: the gate, what others of the circle wait for, and mutexes.
  [[nodiscard]] std::vector<Awaited> held_by(const Waiter& owner, const std::vector<Step>& circle) const {
    std::vector<Awaited> held;
    const auto add_once = [&](Awaited thing) {
      // Who waits to read and who waits to write wait for one lock.
      if (thing.kind == Awaited::Kind::shared) thing.kind = Awaited::Kind::exclusive;
      if (std::ranges::find(held, thing) == held.end()) held.push_back(thing);
    };
    if (g_gate != nullptr && find(owner_of_section(g_gate)) == &owner) {
      add_once({Awaited::Kind::section, g_gate});
    }
    for (const Step& step : circle) {
      const Need& need = nodes[step.node].needs[step.need];
      const bool is_lock = need.thing.kind != Awaited::Kind::thread && !need.from_anyone;
      if (is_lock && nodes[need.enders.front()].who == &owner) add_once(need.thing);
    }
    for (const Mutex* mutex = owner.owned_mutexes; mutex != nullptr; mutex = mutex->next_owned_) {
      add_once({Awaited::Kind::mutex, mutex});
    }
    return held;
  }

  [[nodiscard]] Deadlock describe(const std::vector<Step>& circle) const {
    Deadlock deadlock;
    for (const Step& step : circle) {
      const Node& node = nodes[step.node];
      deadlock.members.push_back({.thread_id = node.who->thread_id,
                                  .waits_for = node.needs[step.need].thing,
                                  .also = node.needs.size() < 2 || node.who->waiting == nullptr
                                              ? Deadlock::Also::none
                                          : node.all ? Deadlock::Also::all
                                                     : Deadlock::Also::any,
                                  .holds = held_by(*node.who, circle)});
    }
    std::ranges::rotate(deadlock.members,
                        std::ranges::min_element(deadlock.members, {}, &Deadlock::Member::thread_id));
    return deadlock;
  }

  /// The graph from `self`, if `self` is stuck in it.
  static std::optional<WaitGraph> read_from(Waiter& self) {
    std::optional<WaitGraph> graph(std::in_place, self, false);
    if (graph->is_stuck(&self)) return graph;
    const auto gatekeeper = [] { return g_gate != nullptr ? find(owner_of_section(g_gate)) : nullptr; };
    const Waiter* keeper = gatekeeper();
    if (keeper == nullptr || (keeper->waits.load() & 1) == 0) return std::nullopt;
    graph.emplace(self, true);
    if (!graph->is_stuck(&self) || !graph->is_stuck(keeper) || gatekeeper() != keeper) return std::nullopt;
    return graph;
  }

  /// A circle that nobody has been told of yet, if `self` is stuck.
  static std::optional<Deadlock> look(Waiter& self) {
    std::optional<WaitGraph> graph;
    std::vector<Step> circle;
    // Again after each change seen: this is the only look of the last thread of a circle.
    do {
      graph = read_from(self);
      if (!graph) return std::nullopt;
      circle = graph->some_circle();
      if (circle.empty()) return std::nullopt;
    } while (!graph->is_of_one_instant());
    for (const Step& step : circle) {
      const Node& node = graph->nodes[step.node];
      if (node.who->reported == node.wait) return std::nullopt;
    }
    for (const Step& step : circle) {
      const Node& node = graph->nodes[step.node];
      node.who->reported = node.wait;
    }
    return graph->describe(circle);
  }
};

void watch_for_deadlocks(DeadlockHandler handler, const abi::RTL_CRITICAL_SECTION* gate) noexcept {
  const DispatcherLock lock;
  g_gate = gate;
  g_handler = handler;
}

bool watching_for_deadlocks() noexcept { return g_handler.load(std::memory_order_relaxed) != nullptr; }

void look_for_deadlock(Waiter& self) noexcept try {
  std::optional<Deadlock> found;
  {
    const DispatcherLock lock;
    found = WaitGraph::look(self);
  }
  if (const DeadlockHandler handler = g_handler.load(); found && handler != nullptr) handler(*found);
} catch (
    const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): no memory to think with; it goes on waiting
}

void know(Waiter& waiter) noexcept {
  const DispatcherLock lock;
  waiter.previous_known = nullptr;
  waiter.next_known = g_known;
  if (g_known != nullptr) g_known->previous_known = &waiter;
  g_known = &waiter;
}

void forget(Waiter& waiter) noexcept {
  const DispatcherLock lock;
  if (waiter.next_known != nullptr) waiter.next_known->previous_known = waiter.previous_known;
  (waiter.previous_known != nullptr ? waiter.previous_known->next_known : g_known) = waiter.next_known;
}

}  // namespace bobbin::sync
