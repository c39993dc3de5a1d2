"""The learner service: objectives, training, checkpoints, evaluation."""
