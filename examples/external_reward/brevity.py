"""A complete external reward server: short answers score higher. Run: python brevity.py 50062"""

import sys
from concurrent import futures

import grpc

from trimtab.reward.v1 import reward_pb2, reward_pb2_grpc


class Brevity(reward_pb2_grpc.RewardServiceServicer):
    def Score(self, request, context):
        if len({item.id for item in request.items}) < len(request.items):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "an id comes twice")
        response = reward_pb2.ScoreResponse()
        for item in request.items:
            if item.verifier in ("", "brevity"):
                verdict = {"outcome": "OUTCOME_SCORED", "reward": 1 / (1 + len(item.response))}
            else:
                verdict = {"outcome": "OUTCOME_VERIFIER_ERROR", "cause": "CAUSE_MACHINERY"}
            response.results.add(id=item.id, **verdict)
        return response

    def GetInfo(self, request, context):
        return reward_pb2.GetInfoResponse(verifiers=[reward_pb2.VerifierInfo(name="brevity")])


options = [("grpc.max_receive_message_length", 16 << 20)]
server = grpc.server(futures.ThreadPoolExecutor(), options=options)
reward_pb2_grpc.add_RewardServiceServicer_to_server(Brevity(), server)
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
