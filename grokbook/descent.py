"""L-BFGS down the cost of the isolated dynamics, with a count and the best point seen."""

import numpy as np
import torch
from scipy.optimize import minimize


class Descent:
    """R and its gradient for SciPy, with a count, the best point seen and the speed there."""

    def __init__(self, layer, like, tolerance):
        self.layer, self.like, self.tolerance = layer, like, tolerance
        self.evaluations, self.lowest, self.best, self.speed = 0, np.inf, like, np.inf

    def run(self, start, most):
        """The best point that about `most` evaluations find."""
        flat = start.double().reshape(-1).numpy(force=True)
        options = dict(maxfun=most, maxiter=most, maxcor=30, ftol=0, gtol=0)
        message = minimize(self, flat, jac=True, method="L-BFGS-B", callback=self.arrived, options=options).message
        if self.speed <= self.tolerance:
            self.why = f"the velocity is down to {self.tolerance:g} ‖E‖"
        else:
            self.why = f"{most} evaluations a stage ran out" if self.evaluations >= most else message
        return self.best

    def __call__(self, flat):
        self.evaluations += 1
        E = torch.as_tensor(flat).to(self.like).view(self.like.shape)
        try:
            solution = self.layer.solve(E)
        except ValueError:
            if self.evaluations == 1:
                raise
            return np.inf, np.zeros_like(flat)  # a step too long, which the line search takes back
        velocity, cost = self.layer.velocity(E, solution), float(self.layer.cost(E, solution))
        if cost < self.lowest:
            self.lowest, self.best, self.speed = cost, E.clone(), float(velocity.norm() / E.norm())
        return cost, -2 * velocity.double().reshape(-1).numpy(force=True)

    def arrived(self, intermediate_result):
        """SciPy's callback after a step."""
        if self.speed <= self.tolerance:
            raise StopIteration
