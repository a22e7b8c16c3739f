# Both commands in a container: docker build --tag balancing . && docker run --rm --shm-size 2g balancing
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home user
USER user
# The user's folder: one that WORKDIR makes is root's, and nothing can be made in it.
RUN mkdir /home/user/balancing
WORKDIR /home/user/balancing
COPY --chown=user . .
RUN make env
CMD ["make", "repro", "test"]
