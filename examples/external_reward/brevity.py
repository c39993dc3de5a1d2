"""A complete external reward server: short answers score higher. Run: python brevity.py 50062"""

import sys
from concurrent import futures

import grpc

from trimtab.common.v1.outcome_pb2 import OUTCOME_SCORED
from trimtab.reward.v1 import reward_pb2, reward_pb2_grpc


class Brevity(reward_pb2_grpc.RewardServiceServicer):
    def Score(self, request, context):
        results = [
            reward_pb2.ScoreResult(
                id=item.id, outcome=OUTCOME_SCORED, reward=1 / (1 + len(item.response))
            )
            for item in request.items
        ]
        return reward_pb2.ScoreResponse(results=results)

    def GetInfo(self, request, context):
        return reward_pb2.GetInfoResponse(verifiers=[reward_pb2.VerifierInfo(name="brevity")])


server = grpc.server(futures.ThreadPoolExecutor())
reward_pb2_grpc.add_RewardServiceServicer_to_server(Brevity(), server)
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
