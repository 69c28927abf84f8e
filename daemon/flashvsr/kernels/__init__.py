"""Operations worth a kernel of their own, each with its plain PyTorch form under the same name."""
