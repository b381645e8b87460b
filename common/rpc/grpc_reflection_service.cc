#include "common/rpc/grpc_reflection_service.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/impl/server_initializer.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/server_callback.h>

#include "common/rpc/grpc_status.h"

namespace netsentinel::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using Names = std::shared_ptr<std::vector<std::string>>;

// Asks to be told the names of a server's services once it is built.
class NamesPlugin final : public grpc::ServerBuilderPlugin {
 public:
  explicit NamesPlugin(Names names) : names_(std::move(names)) {}
  std::string name() override { return "names of the services"; }
  void InitServer(grpc::ServerInitializer*) override {}
  void Finish(grpc::ServerInitializer* server) override { *names_ = *server->GetServiceList(); }
  void ChangeArguments(const std::string&, void*) override {}

 private:
  Names names_;
};

class NamesOption final : public grpc::ServerBuilderOption {
 public:
  explicit NamesOption(Names names) : names_(std::move(names)) {}
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    plugins->push_back(std::make_unique<NamesPlugin>(names_));
  }

 private:
  Names names_;
};

void AddWithImports(const FileDescriptor& file, std::set<std::string>& seen,
                    std::vector<std::string>& out) {
  if (!seen.insert(file.name()).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  out.push_back(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) {
    AddWithImports(*file.dependency(i), seen, out);
  }
}

template <typename Response>
void AnswerFile(const FileDescriptor* file, absl::string_view asked, Response& response) {
  if (file == nullptr) {
    response.mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
    response.mutable_error_response()->set_error_message(absl::StrCat("not known: ", asked));
    return;
  }
  std::set<std::string> seen;
  std::vector<std::string> files;
  AddWithImports(*file, seen, files);
  for (std::string& bytes : files) {
    response.mutable_file_descriptor_response()->add_file_descriptor_proto(std::move(bytes));
  }
}

template <typename Request, typename Response>
void AnswerExtensions(const std::string& type_name, Response& response) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  const Descriptor* type = pool.FindMessageTypeByName(type_name);
  if (type == nullptr) return AnswerFile(nullptr, type_name, response);
  std::vector<const FieldDescriptor*> extensions;
  pool.FindAllExtensions(type, &extensions);
  auto& answer = *response.mutable_all_extension_numbers_response();
  answer.set_base_type_name(type_name);
  for (const FieldDescriptor* extension : extensions) {
    answer.add_extension_number(extension->number());
  }
}

template <typename Request, typename Response>
void Answer(const Request& request, const std::vector<std::string>& names, Response& response) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case Request::kListServices:
      for (const std::string& name : names) {
        response.mutable_list_services_response()->add_service()->set_name(name);
      }
      return;
    case Request::kFileByFilename:
      return AnswerFile(pool.FindFileByName(request.file_by_filename()), request.file_by_filename(),
                        response);
    case Request::kFileContainingSymbol:
      return AnswerFile(pool.FindFileContainingSymbol(request.file_containing_symbol()),
                        request.file_containing_symbol(), response);
    case Request::kFileContainingExtension: {
      const auto& asked = request.file_containing_extension();
      const Descriptor* type = pool.FindMessageTypeByName(asked.containing_type());
      const FieldDescriptor* extension =
          type == nullptr ? nullptr : pool.FindExtensionByNumber(type, asked.extension_number());
      return AnswerFile(extension == nullptr ? nullptr : extension->file(), asked.containing_type(),
                        response);
    }
    case Request::kAllExtensionNumbersOfType:
      return AnswerExtensions<Request>(request.all_extension_numbers_of_type(), response);
    case Request::MESSAGE_REQUEST_NOT_SET:
      response.mutable_error_response()->set_error_code(grpc::StatusCode::INVALID_ARGUMENT);
      response.mutable_error_response()->set_error_message("nothing is asked");
      return;
  }
}

// One question is answered before the next is read. Deletes itself.
template <typename Request, typename Response>
class Conversation final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  Conversation(const absl::Status& allowed, Names names) : names_(std::move(names)) {
    if (allowed.ok()) {
      this->StartRead(&request_);
    } else {
      this->Finish(ToGrpc(allowed));
    }
  }
  void OnReadDone(bool ok) override {
    if (!ok) return this->Finish(grpc::Status::OK);
    response_.Clear();
    Answer(request_, *names_, response_);
    this->StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return this->Finish(grpc::Status::CANCELLED);
    this->StartRead(&request_);
  }
  void OnDone() override { delete this; }

 private:
  const Names names_;
  Request request_;
  Response response_;
};

template <typename Contract, typename Request, typename Response>
class Reflection final : public Contract::CallbackService {
 public:
  Reflection(PeerAuthority authority, Names names)
      : authority_(std::move(authority)), names_(std::move(names)) {}

  grpc::ServerBidiReactor<Request, Response>* ServerReflectionInfo(
      grpc::CallbackServerContext* context) override {
    const auto caller =
        authority_.RequireRole(*context, {Role::kViewer, Role::kOperator, Role::kAdmin});
    return new Conversation<Request, Response>(caller.status(), names_);
  }

 private:
  const PeerAuthority authority_;
  const Names names_;
};

}  // namespace

GrpcReflection::GrpcReflection(const PeerAuthority& authority)
    : names_(std::make_shared<std::vector<std::string>>()) {
  namespace v1 = grpc::reflection::v1;
  namespace v1alpha = grpc::reflection::v1alpha;
  services_.push_back(
      std::make_unique<Reflection<v1::ServerReflection, v1::ServerReflectionRequest,
                                  v1::ServerReflectionResponse>>(authority, names_));
  services_.push_back(
      std::make_unique<Reflection<v1alpha::ServerReflection, v1alpha::ServerReflectionRequest,
                                  v1alpha::ServerReflectionResponse>>(authority, names_));
}

GrpcReflection::~GrpcReflection() = default;

void GrpcReflection::RegisterIn(grpc::ServerBuilder& builder) {
  for (const auto& service : services_) builder.RegisterService(service.get());
  builder.SetOption(std::make_unique<NamesOption>(names_));
}

}  // namespace netsentinel::rpc
