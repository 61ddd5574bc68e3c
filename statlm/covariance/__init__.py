"""Assumptions on dependence, and the covariances that follow from them."""

from statlm.covariance.block_bootstrap import BlockBootstrap
from statlm.covariance.clustered import Clustered
from statlm.covariance.dependence import Dependence, SeriesDependence, variance_of_sum
from statlm.covariance.document_bootstrap import DocumentBootstrap
from statlm.covariance.functionals import Covariance
from statlm.covariance.hac import HAC
from statlm.covariance.independent import Independent
from statlm.covariance.infinitesimal_jackknife import InfinitesimalJackknife
from statlm.covariance.leave_one_out import LeaveOneDocumentOut
from statlm.covariance.nonrobust import NonRobust
from statlm.covariance.opg import OPG
from statlm.covariance.sandwich import Sandwich
from statlm.covariance.stationary_bootstrap import StationaryBootstrap
from statlm.covariance.two_way import TwoWayClustered
from statlm.covariance.verbs import resolve_cov, std_errors, vcov

__all__ = [
    "HAC",
    "OPG",
    "BlockBootstrap",
    "Clustered",
    "Covariance",
    "Dependence",
    "DocumentBootstrap",
    "Independent",
    "InfinitesimalJackknife",
    "LeaveOneDocumentOut",
    "NonRobust",
    "Sandwich",
    "SeriesDependence",
    "StationaryBootstrap",
    "TwoWayClustered",
    "resolve_cov",
    "std_errors",
    "variance_of_sum",
    "vcov",
]
