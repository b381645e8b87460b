// Tells ThreadSanitizer what gRPC promises. Debian's gRPC is not instrumented and hands work
// between its threads with atomics, which ThreadSanitizer does not see there; the templates of its
// headers are compiled into ours, which it does see. Compiled into a test's program, these
// definitions come before the library's own, call them, and add the orders that each call, object
// or server promises for itself. What two handlers, or a handler and a caller, do to each other has
// no order by them: rpc_planted_race shows that it is still reported.
//   - What happened before a batch was started happens before its tag is returned or called back.
//   - What happened before a server was started happens before any tag that is returned later.
//   - What made the object of a call happens before that call reaches its handler.
//   - A certificate verifier is made before it is asked, and asked before it is destroyed.
#include <array>
#include <functional>
#include <utility>

#include <dlfcn.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpcpp/support/callback_common.h>
#include <sanitizer/tsan_interface.h>

namespace grpc_core {

// The part of the library's class that hands it the maker of a method's calls. Both kinds of
// allocation begin with the tag; the rest are as many pointers as gRPC 1.51 has there.
class Server {
 public:
  struct RegisteredCallAllocation {
    void* tag;
    std::array<void*, 5> rest;
  };
  struct BatchCallAllocation {
    void* tag;
    std::array<void*, 4> rest;
  };
  void SetRegisteredMethodAllocator(grpc_completion_queue* queue, void* method,
                                    std::function<RegisteredCallAllocation()> make);
  void SetBatchMethodAllocator(grpc_completion_queue* queue,
                               std::function<BatchCallAllocation()> make);
};

}  // namespace grpc_core

namespace {

// Its address stands for "a server was started".
char server_started;

template <typename Function>
Function* NextDefinition(Function* /*own*/, const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

grpc_event AfterEvent(const grpc_event& event) {
  __tsan_acquire(&server_started);
  if (event.type == GRPC_OP_COMPLETE && event.tag != nullptr) __tsan_acquire(event.tag);
  return event;
}

// The life of an object that the library keeps and uses in threads of its own: it is made before it
// is used, and used before it ends. What two users do to each other has no order.
void Made(const void* object) { __tsan_release(const_cast<void*>(object)); }
void BeginUse(const void* object) { __tsan_acquire(const_cast<void*>(object)); }
void* Used(const void* object) { return static_cast<char*>(const_cast<void*>(object)) + 1; }
void EndUse(const void* object) { __tsan_release(Used(object)); }
void End(const void* object) {
  __tsan_acquire(const_cast<void*>(object));
  __tsan_acquire(Used(object));
}

// What makes the calls of a method for the library. The functor of a call takes up the word that it
// has been made.
template <typename Allocation>
class Maker {
 public:
  explicit Maker(std::function<Allocation()> make) : make_(std::move(make)) { Made(this); }
  Maker(const Maker& other) : make_(other.make_) { Made(this); }
  Maker(Maker&& other) noexcept : make_(std::move(other.make_)) { Made(this); }
  Maker& operator=(const Maker&) = delete;
  Maker& operator=(Maker&&) = delete;
  ~Maker() { End(this); }

  Allocation operator()() const {
    BeginUse(this);
    Allocation made = make_();
    __tsan_release(made.tag);
    EndUse(this);
    return made;
  }

 private:
  std::function<Allocation()> make_;
};

// gRPC's C++ layer gives the same functions to every verifier.
grpc_tls_certificate_verifier_external functions_of_verifiers;

int AskVerifier(void* verifier, grpc_tls_custom_verification_check_request* request,
                grpc_tls_on_custom_verification_check_done_cb callback, void* argument,
                grpc_status_code* status, char** details) {
  BeginUse(verifier);
  const int done =
      functions_of_verifiers.verify(verifier, request, callback, argument, status, details);
  EndUse(verifier);
  return done;
}

void DestroyVerifier(void* verifier) {
  End(verifier);
  functions_of_verifiers.destruct(verifier);
}

using Functor = grpc_completion_queue_functor;

// A batch of a call of the callback API is done.
void RunAfterBatch(Functor* tag, int ok) {
  __tsan_acquire(tag);
  static_cast<grpc::internal::CallbackWithSuccessTag*>(tag)->force_run(ok != 0);
}

}  // namespace

// grpc::internal::CallbackWithSuccessTag::StaticRun: what a tag of the callback API runs.
extern "C" void
_ZN4grpc8internal22CallbackWithSuccessTag9StaticRunEP29grpc_completion_queue_functori(Functor* tag,
                                                                                      int ok);

void grpc_core::Server::SetRegisteredMethodAllocator(
    grpc_completion_queue* queue, void* method, std::function<RegisteredCallAllocation()> make) {
  using Function =
      void(Server*, grpc_completion_queue*, void*, std::function<RegisteredCallAllocation()>);
  constexpr const char* kName =
      "_ZN9grpc_core6Server28SetRegisteredMethodAllocatorEP21grpc_completion_queuePv"
      "St8functionIFNS0_24RegisteredCallAllocationEvEE";
  static auto* const next = NextDefinition(static_cast<Function*>(nullptr), kName);
  next(this, queue, method, Maker(std::move(make)));
}

void grpc_core::Server::SetBatchMethodAllocator(grpc_completion_queue* queue,
                                                std::function<BatchCallAllocation()> make) {
  using Function = void(Server*, grpc_completion_queue*, std::function<BatchCallAllocation()>);
  constexpr const char* kName =
      "_ZN9grpc_core6Server23SetBatchMethodAllocatorEP21grpc_completion_queue"
      "St8functionIFNS0_19BatchCallAllocationEvEE";
  static auto* const next = NextDefinition(static_cast<Function*>(nullptr), kName);
  next(this, queue, Maker(std::move(make)));
}

extern "C" {

// grpc::Server::CallbackRequest<grpc::CallbackServerContext>::CallbackCallTag::StaticRun: a call
// begins. And the same of the calls that no method takes.
void _ZN4grpc6Server15CallbackRequestINS_21CallbackServerContextEE15CallbackCallTag9StaticRunEP29grpc_completion_queue_functori(  // NOLINT
    Functor* tag, int ok) {
  constexpr const char* kName =
      "_ZN4grpc6Server15CallbackRequestINS_21CallbackServerContextEE15CallbackCallTag9StaticRunE"
      "P29grpc_completion_queue_functori";
  static auto* const next = NextDefinition(static_cast<void (*)(Functor*, int)>(nullptr), kName);
  __tsan_acquire(tag);
  next(tag, ok);
}

void _ZN4grpc6Server15CallbackRequestINS_28GenericCallbackServerContextEE15CallbackCallTag9StaticRunEP29grpc_completion_queue_functori(  // NOLINT
    Functor* tag, int ok) {
  constexpr const char* kName =
      "_ZN4grpc6Server15CallbackRequestINS_28GenericCallbackServerContextEE15CallbackCallTag"
      "9StaticRunEP29grpc_completion_queue_functori";
  static auto* const next = NextDefinition(static_cast<void (*)(Functor*, int)>(nullptr), kName);
  __tsan_acquire(tag);
  next(tag, ok);
}

grpc_tls_certificate_verifier* grpc_tls_certificate_verifier_external_create(
    grpc_tls_certificate_verifier_external* verifier) {
  static auto* const next = NextDefinition(&grpc_tls_certificate_verifier_external_create,
                                           "grpc_tls_certificate_verifier_external_create");
  static const bool known = [verifier] {
    functions_of_verifiers = *verifier;
    return true;
  }();
  static_cast<void>(known);
  verifier->verify = &AskVerifier;
  verifier->destruct = &DestroyVerifier;
  Made(verifier->user_data);
  return next(verifier);
}

grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops, size_t nops, void* tag,
                                      void* reserved) {
  static auto* const next = NextDefinition(&grpc_call_start_batch, "grpc_call_start_batch");
  // The other kind of tag begins with the pointer to its virtual functions.
  if (auto* const functor = static_cast<Functor*>(tag);
      functor != nullptr &&
      functor->functor_run ==
          &_ZN4grpc8internal22CallbackWithSuccessTag9StaticRunEP29grpc_completion_queue_functori) {
    functor->functor_run = &RunAfterBatch;
  }
  if (tag != nullptr) __tsan_release(tag);
  return next(call, ops, nops, tag, reserved);
}

void grpc_server_start(grpc_server* server) {
  static auto* const next = NextDefinition(&grpc_server_start, "grpc_server_start");
  __tsan_release(&server_started);
  next(server);
}

// grpc::internal::ServerCallbackCall::ScheduleOnDone(bool inline_ondone). Otherwise the library
// hands the end of a call to a thread of its executor by atomics that are not seen. gRPC itself
// ends calls on the spot where a reactor allows it; what handlers do to each other has no order by
// it either.
void _ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb(void* call, bool /*inline_ondone*/) {
  constexpr const char* kName = "_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb";
  static auto* const next =
      NextDefinition(&_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb, kName);
  next(call, true);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                      void* reserved) {
  static auto* const next =
      NextDefinition(&grpc_completion_queue_next, "grpc_completion_queue_next");
  return AfterEvent(next(queue, deadline, reserved));
}

grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag,
                                       gpr_timespec deadline, void* reserved) {
  static auto* const next =
      NextDefinition(&grpc_completion_queue_pluck, "grpc_completion_queue_pluck");
  return AfterEvent(next(queue, tag, deadline, reserved));
}

}  // extern "C"
